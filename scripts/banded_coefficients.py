"""Work out the coefficients of banded matrix factorisation and write them where `tactful_privacy` ships them.

    python scripts/banded_coefficients.py [--check]

For n rounds and b bands, the lower triangular C with b bands and columns of norm 1 that minimises the mean squared
error of all prefix sums, ||A C^-1||_F^2 with A the lower triangle of ones (BandMF: Choquette-Choo et al.,
arXiv:2306.08153). The gradient with respect to C is -2 (A C^-1)^T (A C^-1) C^-T, masked to the bands and carried
through the normalisation of the columns; L-BFGS starts from the banded square root of A, whose coefficients are
binom(2k, k) / 4^k. Rounded *down* to multiples of 2^-16, so that no column is longer than 1. Needs scipy; a minute.
``--check`` writes nothing and fails if the result is further than 0.1 % from what is shipped.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from tactful_privacy.mechanisms.banded import SCALE, strategies

SIZES = [(16, 4), (32, 4), (32, 8), (128, 4), (128, 8), (128, 16), (128, 32)]
TARGET = Path(__file__).parents[1] / "privacy/tactful_privacy/mechanisms/banded_coefficients.json"


def positions(rounds, bands):
    """Row and column of every entry within the bands, column by column."""
    pairs = [(row, column) for column in range(rounds) for row in range(column, min(column + bands, rounds))]
    return tuple(np.array(pairs).T)


def error_and_gradient(entries, rounds, at):
    """||A C^-1||_F^2 of the matrix whose columns are those of ``entries``, normalised; and its gradient."""
    raw = np.zeros((rounds, rounds))
    raw[at] = entries
    lengths = np.linalg.norm(raw, axis=0)
    c = raw / lengths
    inverse = solve_triangular(c, np.eye(rounds), lower=True)
    sums = np.cumsum(inverse, axis=0)
    by_c = -2 * (sums.T @ sums) @ inverse.T
    by_raw = (by_c - c * (by_c * c).sum(axis=0)) / lengths
    return float((sums**2).sum()), by_raw[at]


def optimised(rounds, bands):
    """Return the columns as integers in units of 1/SCALE, each no longer than SCALE."""
    at = positions(rounds, bands)
    root = np.cumprod([1.0] + [(2 * k - 1) / (2 * k) for k in range(1, bands)])
    start = root[at[0] - at[1]]
    found = minimize(
        error_and_gradient,
        start,
        args=(rounds, at),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 9000},
    )
    matrix = np.zeros((rounds, rounds))
    matrix[at] = found.x
    matrix *= SCALE / np.linalg.norm(matrix, axis=0)
    return [[int(value) for value in np.trunc(matrix[j : j + bands, j])] for j in range(rounds)]


def squared_error(columns):
    """||A C^-1||_F^2 of integer columns."""
    rounds, bands = len(columns), len(columns[0])
    entries = np.concatenate([np.array(column) / SCALE for column in columns])
    c = np.zeros((rounds, rounds))
    c[positions(rounds, bands)] = entries
    return float((np.cumsum(solve_triangular(c, np.eye(rounds), lower=True), axis=0) ** 2).sum())


def main():
    """Write the file, or compare with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    shipped = {} if not check else {(s.rounds, s.bands): s.columns for s in strategies().values()}
    table = []
    for rounds, bands in SIZES:
        columns = optimised(rounds, bands)
        error = squared_error(columns)
        gain = (error / (rounds * (rounds + 1) / 2)) ** 0.5
        sys.stdout.write(f"{rounds} rounds, {bands} bands: error of prefix sums {gain:.3f} of independent noise's\n")
        if check and abs(squared_error(shipped[rounds, bands]) / error - 1) > 1e-3:
            raise SystemExit(f"{rounds} rounds, {bands} bands: the shipped coefficients are not these")
        table.append({"rounds": rounds, "bands": bands, "columns": columns})
    if not check:
        lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in table)
        TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
