"""The learner labels every opt-out once, logs propensities within limits, and spends the ε it promised."""

import numpy as np
import pytest

from tactful_lab.worlds import World, rehearse, tuning_seeds
from tactful_lab.worlds.learner import Learner, make_learner
from tactful_lab.worlds.people import Bools
from tactful_lab.worlds.policy_block import Decisions
from tactful_lab.worlds.private_sums import PrivateSums, Promise
from tactful_lab.worlds.seen import Observed, View
from tactful_privacy.errors import InvalidInput

N, WEEKS, WARMUP = 400, 7, 4
"""Week 5 is the last that has a round: two more days of opens do not matter to what is claimed."""


class Watched:
    """The learner, with a note of what it decided and of what came back."""

    name = "watched"

    def __init__(self, learner: Learner) -> None:
        self.learner, self.sends, self.odd, self.opt_outs = learner, [], 0, 0
        self.labelled, self.rows = 0, 0
        close = learner._close

        def closing(made: Decisions) -> None:
            self.labelled += int((made.opted_out & made.sent).sum())
            close(made)

        learner._close = closing  # type: ignore[method-assign]

    def decide(self, view: View) -> Bools:
        """Send as the learner does; counts what breaks the limits."""
        sends = self.learner.decide(view)
        p, block = self.learner.propensity, self.learner.block
        due = ~np.isnan(p)
        self.rows += int(due.sum())
        spent = ~block.micro & (block.sent_week >= block.budget)
        self.odd += int((sends & ~due).sum() + (due & (spent | block.never)).sum())
        self.odd += int(((p[due] < np.float32(0.03)) | (p[due] > np.float32(0.95))).sum())
        self.sends.append(sends)
        return sends

    def learn(self, view: View, send: Bools, observed: Observed) -> None:
        """Let the learner learn; counts opt-outs."""
        self.opt_outs += int(observed.opt_outs.sum())
        self.learner.learn(view, send, observed)


def watched(variant: str, n: int = N, hazard: float | None = None) -> Watched:
    """One rehearsal in the main world of the first tuning seed."""
    world = World("main", n, next(iter(tuning_seeds(1))), hazard=hazard)
    policy = Watched(make_learner(world, variant=variant))
    rehearse(world, policy, WEEKS, warmup_weeks=WARMUP)
    return policy


def test_every_opt_out_is_a_label_of_the_push_that_caused_it() -> None:
    seen = watched("central", n=1_200, hazard=0.02)
    # A push that waits for its device may be decided upon more than a day before it is delivered: at most a tenth.
    assert seen.opt_outs >= 20
    assert 0.9 * seen.opt_outs <= seen.labelled <= seen.opt_outs


def test_propensities_lie_within_their_limits_and_nothing_is_sent_without_budget() -> None:
    seen = watched("federated")
    assert seen.rows > N
    assert seen.odd == 0


def test_the_rounds_spend_what_was_promised() -> None:
    spent = watched("federated").learner.epsilon_spent
    assert 3.9 < spent <= 4.0
    assert watched("local_only").learner.epsilon_spent == 0.0


def test_a_round_beyond_the_promise_is_refused() -> None:
    sums = PrivateSums(Promise(4.0, 1e-6, 0), N, np.random.default_rng(1))
    with pytest.raises(InvalidInput, match="no round left"):
        sums.round(None, np.zeros(1), [], 1)  # type: ignore[arg-type]


def test_without_noise_one_seed_gives_the_same_decisions() -> None:
    first, second = (np.array(watched("central").sends) for _ in range(2))
    assert first.any()
    np.testing.assert_array_equal(first, second)
