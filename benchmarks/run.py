"""``python -m benchmarks.run [SUITE]``: run one suite, or all of them, and write their results."""

import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    _harness,
    accounting,
    attacks,
    audit,
    cohort,
    contacts,
    demo,
    faults,
    modes,
    ope,
    optimisers,
    recurrent,
    rehearsal,
    sampler,
    secagg,
    slots,
    training,
    worlds,
)
from tactful_privacy.errors import TactfulError

SUITES: dict[str, Callable[[], Sequence[_harness.Row]]] = {
    "accounting": accounting.run,
    "attacks": attacks.run,
    "audit": audit.run,
    "cohort": cohort.run,
    "contacts": contacts.run,
    "demo": demo.run,
    "faults": faults.run,
    "modes": modes.run,
    "ope": ope.run,
    "recurrent": recurrent.run,
    "optimisers": optimisers.run,
    "rehearsal": rehearsal.run,
    "sampler": sampler.run,
    "secagg": secagg.run,
    "slots": slots.run,
    "training": training.run,
    "worlds": worlds.run,
}


def main(arguments: Sequence[str]) -> int:
    """Run the named suites. Exit code 2 for a suite that does not exist or an input that cannot be used."""
    unknown = [name for name in arguments if name not in SUITES]
    if unknown:
        print(f"no suite {unknown[0]!r}; there are: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    for name in arguments or SUITES:
        try:
            print(f"wrote {_harness.write(name, SUITES[name]())}")
        except TactfulError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main([name for name in sys.argv[1:] if name]))
