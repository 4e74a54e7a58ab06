"""One round of secure aggregation in memory: five hosts, one drops out, and the opened sum is exact.

Every step is the real protocol: fresh signed mask keys, encrypted shares, discrete Gaussian noise, masks modulo 2^32,
one signed survivor list, and opening. Only the transport is a function call. With too few survivors nothing opens.
"""

import numpy as np

from tactful_privacy.mechanisms.discrete_gaussian import sample
from tactful_privacy.mechanisms.grid import decode
from tactful_privacy.secagg import Aggregator, HostSession
from tactful_privacy.secagg.errors import TooFewSurvivors
from tactful_privacy.secagg.testing import drive, make_plan, make_roster

DIMENSION = 8


def main() -> None:
    """Run a round with four survivors, then one with three."""
    directory, identities = make_roster(5)
    plan = make_plan(directory, n_min=4, colluders=1, dimension=DIMENSION)

    def sessions() -> dict[str, HostSession]:
        return {host_id: HostSession(plan, directory, host_id, key) for host_id, key in identities.items()}

    # What each host holds: the sum of its devices' updates on the grid, and its own share of the noise.
    vectors = {
        host_id: (np.full(DIMENSION, 1000 * (number + 1)), sample(plan.noise_variance_units, DIMENSION))
        for number, host_id in enumerate(identities)
    }

    opened = drive(Aggregator(plan, directory), sessions(), vectors, {"host-02": "contribution"})
    survivors = [host_id for host_id in identities if host_id != "host-02"]
    expected = sum((vectors[host_id][0] + vectors[host_id][1] for host_id in survivors), np.zeros(DIMENSION, np.int64))
    assert np.array_equal(opened, expected), "the opened sum is not the sum of the survivors"
    print("opened, in grid units:  ", opened)
    print("without noise it would be", sum(vectors[host_id][0] for host_id in survivors))
    print("in model units:         ", np.round(decode(opened, plan.grid_exponent), 3))

    try:
        drive(Aggregator(plan, directory), sessions(), vectors, {"host-01": "contribution", "host-02": "contribution"})
    except TooFewSurvivors as refusal:
        print("three survivors:", refusal)
    else:
        raise AssertionError("a sum of three hosts was opened")


if __name__ == "__main__":
    main()
