"""A shop's people and their pushes, advanced slot by slot for all persons at once.

Every step draws the same random numbers whatever is sent, so two policies in two worlds of one seed meet the same
people, sessions and moods: their difference is paired. Simulation randomness only; it protects nobody.
"""

import copy
from typing import Self

import numpy as np

from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.worlds import clock, kinds, people
from tactful_lab.worlds.kinds import Doses
from tactful_lab.worlds.parameters import Parameters, load
from tactful_lab.worlds.people import Bools, Floats
from tactful_lab.worlds.seen import Observed, Truth, View
from tactful_lab.worlds.transit import Delivered, Indices, InFlight, Outbox
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, fraction

_DRAWS = 7
_ORGANIC, _OPEN, _DELAY, _HAZARD, _DISPLACE, _CONVERT, _NEXT = range(_DRAWS)


class World:
    """N persons from a Monday at 8:00 on.

    Args:
        kind: One of `kinds.KINDS`.
        n: Number of persons.
        seed: Any integer from 0; see `parameters.tuning_seeds` and `parameters.reporting_seeds`.
        hazard: Opt-out hazard per push, by default the parameters' own; for sweeps.
        parameters: By default the committed ones.

    Raises:
        InvalidInput: The kind is unknown, or a number is out of range.
    """

    def __init__(
        self, kind: str, n: int, seed: int, *, hazard: float | None = None, parameters: Parameters | None = None
    ) -> None:
        at_least(1, n=n)
        at_least(0, seed=seed)
        self.parameters = parameters or load()
        self.kind, self.n, self.seed = kinds.get(kind), n, seed
        self.hazard = self.parameters.opt_out.hazard if hazard is None else hazard
        fraction(hazard=self.hazard)
        streams = np.random.SeedSequence(seed).spawn(3)
        born, self._random, self._drifting = (np.random.Generator(np.random.SFC64(s)) for s in streams)
        self.people = people.draw(n, self.parameters, born)
        self.step_number = 0
        self._start()

    def _start(self) -> None:
        n, p = self.n, self.parameters
        self.reachable: Bools = self.people.opted_in.copy()
        self._tired, self._recent, self._habit = (np.zeros(n, np.float32) for _ in range(3))
        self._decays = {h: self._decays_over(h) for h in (people.SLOT_H, people.NIGHT_H)}
        self._outbox, self._flying = Outbox(n, p.reach.ttl_slots), InFlight(n)
        self._debt = np.zeros(n, np.int8)
        self._last_session = np.full(n, -p.opening.recent_slots, np.int32)
        self._rates, self._slot_factors = (np.empty((N_SLOTS, n), np.float32) for _ in range(2))
        self._habits_of(np.arange(n))
        self._uniform = np.empty((_DRAWS, n), np.float32)
        offline = p.reach.to_offline / (p.reach.to_offline + p.reach.to_online)
        self._random.random(out=self._uniform, dtype=np.float32)
        self.online: Bools = self._uniform[_NEXT] >= offline
        self.contextual: Bools = self._uniform[_ORGANIC] < p.opening.contextual_otherwise

    def _decays_over(self, hours: float) -> tuple[Floats, Floats, Floats]:
        p = self.parameters
        lives = (self.people.half_life_d, p.opt_out.dosage_half_life_d, p.habituation.half_life_d)
        tired, recent, habit = (people.decay(life, hours) for life in lives)
        return tired, recent, habit

    def _habits_of(self, who: Indices) -> None:
        """Recompute what follows from the rates and shares of some persons."""
        share = self.people.share[:, who]
        self._rates[:, who] = share * self.people.rate[who]
        self._slot_factors[:, who] = (N_SLOTS * share) ** np.float32(self.parameters.opening.slot_power)

    # What is seen

    @property
    def slot(self) -> int:
        """Slot of the day, 0 to 6."""
        return self.step_number % N_SLOTS

    @property
    def day(self) -> int:
        """Days since the start."""
        return self.step_number // N_SLOTS

    @property
    def promotion(self) -> bool:
        """Whether a promotion runs today."""
        return self._promotion_on(self.day)

    @property
    def opens_in_flight(self) -> int:
        """Opens that have been decided and not yet been seen: what a horizon here would censor."""
        return self._flying.count

    @property
    def pushes_waiting(self) -> int:
        """Pushes that wait for their device to come back."""
        return int(self._outbox.waiting.sum())

    def view(self) -> View:
        """What a policy may know now."""
        return View(
            step=self.step_number,
            day=self.day,
            slot=self.slot,
            weekday=self.day % 7,
            promotion=self.promotion,
            reachable=_frozen(self.reachable),
            online=_frozen(self.online),
            contextual=_frozen(self.contextual),
        )

    def _promotion_on(self, day: int) -> bool:
        calendar = self.parameters.calendar
        return (day - calendar.promotion_offset_d) % calendar.promotion_every_d < calendar.promotion_length_d

    # One step

    def step(self, send: Bools) -> Observed:
        """Send to these persons (N,), live through the slot, and say what happened.

        Raises:
            InvalidInput: ``send`` is not a boolean array of shape (N,).
        """
        if not isinstance(send, np.ndarray) or send.dtype != np.bool_ or send.shape != (self.n,):
            raise InvalidInput("must be booleans, one for each person", field="send", remedy=f"shape ({self.n},)")
        self._random.random(out=self._uniform, dtype=np.float32)
        sent = send & self.reachable
        delivered, expired = self._outbox.exchange(sent, self.contextual, self.online, self.step_number)
        opt_outs = self._receive(delivered)
        seen = self._live(sent, expired, opt_outs, delivered)
        self._advance(seen)
        return seen

    def _receive(self, pushes: Delivered) -> Bools:
        """Decide what becomes of delivered pushes; the persons who opt out, (N,)."""
        who, u = pushes.who, self._uniform
        opening, hazard = self._response(who, pushes.contextual)
        leaves = u[_HAZARD, who] < hazard
        p = self.parameters.opening
        delay = clock.delay_h(u[_DELAY, who], p.delay_median_h, p.delay_shape)
        opens = (u[_OPEN, who] < opening) & ~leaves & (delay <= clock.WINDOW_H)
        self._flying.add(self.step_number, self.slot, who[opens], delay[opens], pushes.sent_step[opens])
        self._tired[who] += 1
        self._recent[who] += 1
        opt_outs = np.zeros(self.n, np.bool_)
        opt_outs[who[leaves]] = True
        if leaves.any():
            self.reachable = self.reachable & ~opt_outs
        return opt_outs

    def _response(self, who: Indices, contextual: Bools) -> tuple[Floats, Floats]:
        """Open probability and opt-out hazard of a push delivered now to these persons, each (m,)."""
        p = self.parameters
        doses = Doses(self._tired[who], self._recent[who], self._habit[who], who)
        opening = self.people.open_base[who] * self._slot_factors[self.slot, who]
        opening *= self.kind.opening(doses, self.people, p)
        opening *= np.where(contextual, np.float32(p.opening.contextual_factor), np.float32(1))
        opening *= np.float32(p.opening.promotion_factor if self.promotion else 1)
        hazard = self.people.irritability[who] * self.kind.hazard(doses, self.people, p) * np.float32(self.hazard)
        hazard *= np.where(contextual, np.float32(p.opt_out.contextual_factor), np.float32(1))
        return np.minimum(opening, np.float32(p.opening.maximum)), np.minimum(hazard, np.float32(1))

    def _live(self, sent: Bools, expired: Bools, opt_outs: Bools, pushes: Delivered) -> Observed:
        """Opens that land now, sessions with and without them, and orders."""
        delay, opened_step = self._flying.land(self.step_number)
        opens = delay > 0
        sessions = self._organic(opens).view(np.uint8) + opens.view(np.uint8)
        conversion = self._conversion
        chance = np.array([0.0, conversion, conversion * (2 - conversion)], np.float32)[sessions]
        conversions = self._uniform[_CONVERT] < chance
        delivered = np.zeros(self.n, np.bool_)
        delivered[pushes.who] = True
        return Observed(
            step=self.step_number,
            sessions=sessions,
            opens=opens,
            opened_step=opened_step,
            delay_h=delay,
            conversions=conversions,
            value_minor=conversions * self.people.margin_minor,
            expected_minor=chance * self.people.margin_minor,
            sent=sent,
            delivered=delivered,
            expired=expired,
            opt_outs=opt_outs,
        )

    def _organic(self, opens: Bools) -> Bools:
        """Organic sessions of this slot that no open displaces, now or in the day before, (N,)."""
        u = self._uniform
        np.copyto(self._debt, N_SLOTS, where=opens & (u[_DISPLACE] < self.parameters.opening.cannibalised))
        organic: Bools = u[_ORGANIC] < -np.expm1(-self._rates[self.slot] * np.float32(self._season(self.day)))
        displaced = organic & (self._debt > 0)
        self._debt[displaced] = 0
        np.maximum(self._debt - np.int8(1), 0, out=self._debt)
        return organic & ~displaced

    @property
    def _conversion(self) -> float:
        p = self.parameters
        return p.organic.conversion * (p.calendar.conversion_factor if self.promotion else 1)

    def _season(self, day: int) -> float:
        """Factor of a day's organic sessions: weekday and promotion."""
        p = self.parameters
        return p.habits.weekday_factor[day % 7] * (p.calendar.organic_factor if self._promotion_on(day) else 1)

    def _advance(self, seen: Observed) -> None:
        """Let time pass to the next slot, and draw what holds there."""
        p = self.parameters
        np.copyto(self._last_session, self.step_number, where=seen.sessions > 0)
        self._habit += seen.opens
        decays = self._decays[clock.hours_after(self.slot)]
        for dose, factor in zip((self._tired, self._recent, self._habit), decays, strict=True):
            dose *= factor
        u = self._uniform[_NEXT]  # one draw serves two thresholds at its two ends
        stays = np.where(self.online, np.float32(1 - p.reach.to_offline), np.float32(p.reach.to_online))
        self.step_number += 1
        recent = self._last_session > self.step_number - 1 - p.opening.recent_slots
        context = np.where(recent, np.float32(p.opening.contextual_recent), np.float32(p.opening.contextual_otherwise))
        self.online = u < stays
        self.contextual = self._random.random(self.n, dtype=np.float32) < context
        if self.slot == 0:
            self._drift()

    def _drift(self) -> None:
        """Give some persons new habits, from a stream of its own."""
        drift = self.kind.drift(self.parameters)
        who = np.flatnonzero(self._drifting.random(self.n) < drift.per_day)
        if len(who):
            self.people.rate[who] = people.draw_rates(len(who), self.parameters, self._drifting)
            self.people.share[:, who] = people.draw_shares(len(who), self.parameters, self._drifting)
            self._habits_of(who)

    # The oracle

    def truth(self) -> Truth:
        """What a push delivered now would do to each person; permission and connection are not considered."""
        p, who = self.parameters, np.arange(self.n)
        opening, hazard = self._response(who, self.contextual)
        window = clock.within_window(p.opening.delay_median_h, p.opening.delay_shape)
        today, tomorrow = self._season(self.day), self._season(self.day + 1)
        ahead = today * self._rates[self.slot :].sum(axis=0) + tomorrow * self._rates[: self.slot].sum(axis=0)
        return Truth(
            open_probability=(opening * np.float32(window) * (1 - hazard)).astype(np.float32),
            opt_out_probability=hazard,
            displaced=(p.opening.cannibalised * -np.expm1(-ahead)).astype(np.float32),
            session_minor=(self._conversion * self.people.margin_minor).astype(np.float32),
        )

    def expected_value(self, send: Bools) -> Floats:
        """Expected net value of these sends in minor units, (N,), above sending nothing; 0 where nothing is sent.

        Gain of the sessions that would not have come within a day anyway, less C_out times the hazard. What a push
        does to the pushes after it is not in it, except through C_out; for an absent device the value is taken as of
        now, times its chance to return in time. Opens are valued as if they landed at once.
        """
        truth, reach = self.truth(), self.parameters.reach
        gain = truth.open_probability * (1 - truth.displaced) * truth.session_minor
        net = gain - np.float32(self.parameters.opt_out_cost_minor) * truth.opt_out_probability
        arrives = np.where(self.online, 1.0, 1.0 - (1.0 - reach.to_online) ** reach.ttl_slots)
        return np.where(send & self.reachable, net * arrives, 0.0).astype(np.float32)

    def fork(self) -> Self:
        """An independent copy that would live through the same random numbers."""
        return copy.deepcopy(self)


def _frozen(array: Bools) -> Bools:
    seen = array.view()
    seen.setflags(write=False)
    return seen
