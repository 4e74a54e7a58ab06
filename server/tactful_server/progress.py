"""What a round takes over from earlier ones, read from the journal: it survives a restart as the journal does."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.adaptive_clip import CLIP_BIT, share_below
from tactful_privacy.mechanisms.sends import FLEET_PRICE, SENDS, SENDS_CAP, per_week
from tactful_privacy.wire import CorrelatedRun, RoundPlan, Signed
from tactful_server.aggregation import Opened
from tactful_server.errors import ModeSwitched
from tactful_server.fleet_price import PriceState
from tactful_server.journal import Phase, RoundId
from tactful_server.plans import RoundTerms
from tactful_server.records import Store

_PRICE = "fleet_price"
_OF_A_RUN = ("grid_exponent", "clip_units", "norm_bound_squared", "noise_variance_units", "layout", "statistics")


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one federation.

    Args:
        store: the journal.
        federation: its name.
    """

    store: Store
    federation: str

    def last_plan(self) -> RoundPlan | None:
        """The plan of the newest round, whatever became of it; None before the first."""
        records = self.store.rounds(self.federation)
        return self._plan(records[-1].round_id) if records else None

    def _plan(self, round_id: RoundId) -> RoundPlan:
        return RoundPlan.decode(Signed.decode(self.store.transitions(round_id)[0].facts["plan"]).payload)

    def _released(self) -> Iterator[RoundId]:
        """Released rounds, newest first."""
        records = reversed(self.store.rounds(self.federation))
        return (record.round_id for record in records if record.phase == Phase.RELEASED)

    def _facts(self) -> Mapping[str, bytes]:
        newest = next(self._released(), None)
        return {} if newest is None else self.store.transitions(newest)[-1].facts

    # Modes

    def check_mode(self, plan: RoundPlan, terms: RoundTerms) -> str | None:
        """Return the mode that this plan replaces, or None where it goes on in the same one.

        Raises:
            ModeSwitched: the mode would change and the terms do not say so.
        """
        last = self.last_plan()
        if last is None or last.mode == plan.mode:
            return None
        if terms.replaces_mode != last.mode:
            remedy = f"say replaces_mode={last.mode!r} in the terms; it is written to the ledger, and hosts must agree"
            raise ModeSwitched(f"{plan.mode!r} after rounds in {last.mode!r}", field="mode", remedy=remedy)
        return last.mode

    # Runs of correlated noise

    def run(self, terms: RoundTerms, round_number: int) -> CorrelatedRun | None:
        """The run that this round belongs to: the one under way, or a new one that starts with it."""
        if terms.run is None:
            return None
        last = self.last_plan()
        under_way = last.run if last else None
        if under_way is not None and round_number < under_way.first_round + under_way.rounds:
            return under_way
        return terms.run.starting_at(round_number)

    def checked(self, plan: RoundPlan, terms: RoundTerms) -> RoundPlan:
        """Return the plan if it does not go on with a run on other terms than those on which its devices paid for it.

        Raises:
            InvalidInput: grid, bound, noise, length or shape are not those of the run's earlier rounds.
        """
        last = self.last_plan()
        if plan.run is None or terms.run is None or last is None or last.run != plan.run:
            return plan
        changed = [name for name in _OF_A_RUN if getattr(plan, name) != getattr(last, name)]
        if plan.run != terms.run.starting_at(plan.run.first_round):
            changed.append("run")
        if changed:
            remedy = "wait for its end to enrol or change terms, or give it up by one round with run=None in the terms"
            raise InvalidInput(f"{', '.join(changed)} changed within {plan.run.run_id!r}", field="run", remedy=remedy)
        return plan

    def noise_state(self, plan: RoundPlan) -> bytes:
        """The sealed noise after the run's last released round; empty before its first."""
        last = None if plan.run is None else self._last_of_run(plan.run, plan.round_number)
        return b"" if last is None else self.store.transitions(last)[-1].facts["noise"]

    def charged(self, plan: RoundPlan) -> Fraction:
        """What a release adds to the price of the model: a run costs its whole price at its first release, then 0."""
        if plan.run is None or self._last_of_run(plan.run, plan.round_number) is None:
            return plan.rho
        return Fraction(0)

    def _last_of_run(self, run: CorrelatedRun, before: int) -> RoundId | None:
        """The run's newest released round with a number below ``before``."""
        within = (r for r in self._released() if run.first_round <= r.round_number < before)
        return next((round_id for round_id in within if self._plan(round_id).run == run), None)

    # Adaptive clipping

    def clip_norm(self, terms: RoundTerms, task: str) -> float:
        """C of the next round of this task: each kind of contribution has its own lengths, and so its own C."""
        return self._clips().get(task, terms.clip_norm) if terms.adaptive_clip else terms.clip_norm

    def _clips(self) -> dict[str, float]:
        return {task: float.fromhex(c) for task, c in json.loads(self._facts().get("clip", b"{}")).items()}

    def after(self, plan: RoundPlan, terms: RoundTerms, opened: Opened) -> Mapping[str, bytes]:
        """The facts about clipping and the fleet price that a release leaves to the rounds after it."""
        price = {} if terms.fleet_price is None else {_PRICE: self._price_after(plan, terms, opened).dump()}
        return {**self._clip_after(plan, terms, opened), **price}

    def _clip_after(self, plan: RoundPlan, terms: RoundTerms, opened: Opened) -> Mapping[str, bytes]:
        half = next((s.half_range_units * plan.grid for s in plan.statistics if s.name == CLIP_BIT), None)
        if terms.adaptive_clip is None or half is None:
            return {}
        share = share_below(opened.statistics[CLIP_BIT], half)
        moved = terms.adaptive_clip.next_clip(plan.clip_norm, share, terms.clip_norm)
        clips = {task: c.hex() for task, c in (self._clips() | {plan.task: moved}).items()}
        return {"clip": json.dumps(clips, sort_keys=True).encode()}

    # The fleet price

    def figures(self, plan: RoundPlan, terms: RoundTerms, opened: Opened) -> Mapping[str, float]:
        """What the model's card says by name: the reported means and, where there is one, the fleet price after them.

        From the opened, noised means alone; nothing else of the round is looked at.
        """
        if terms.fleet_price is None:
            return opened.statistics
        return {**opened.statistics, FLEET_PRICE: self._price_after(plan, terms, opened).price_minor}

    def _price_after(self, plan: RoundPlan, terms: RoundTerms, opened: Opened) -> PriceState:
        before = PriceState.load(self._facts().get(_PRICE, b""))
        half = _half_ranges(plan).get(SENDS)
        if terms.fleet_price is None or half is None:
            return before
        noise_std = per_week(opened.noise_std, terms.fleet_price.cap, half)
        return terms.fleet_price.step(before, opened.statistics[SENDS], noise_std)


def in_units_of(terms: RoundTerms, plan: RoundPlan, opened: Opened) -> Opened:
    """Return the means with the statistics in the units of the terms: adaptive clipping moved their half-ranges.

    The fleet's sends are pushes of a planned device in a week, noise included.
    """
    nominal = dict(terms.statistics) if terms.adaptive_clip else {}
    halves = _half_ranges(plan)
    told = {name: mean * nominal.get(name, halves[name]) / halves[name] for name, mean in opened.statistics.items()}
    if SENDS in told:
        told[SENDS] = per_week(told[SENDS], float(dict(plan.settings)[SENDS_CAP]), halves[SENDS])
    return replace(opened, statistics=told)


def _half_ranges(plan: RoundPlan) -> dict[str, float]:
    """Half-range of each of the plan's statistics, in model units."""
    return {statistic.name: statistic.half_range_units * plan.grid for statistic in plan.statistics}
