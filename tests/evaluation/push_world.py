"""Simulated push logs whose policies have a known value: in closed form, or by going through every path."""

import itertools

import numpy as np

from tactful_lab.evaluation.log import PushLog

SLOTS = np.array(["morning", "noon", "evening"], dtype=object)
LOGGED = np.array([[0.2, 0.4, 0.6], [0.5, 0.3, 0.7]])  # probability of a send by (trait, slot)
STAY = np.array([[1.0, 0.4, 0.2], [0.5, 0.9, 0.3]])  # mean outcome without a push
EFFECT = np.array([[0.3, -0.2, 0.8], [0.1, 0.5, -0.4]])  # of a push
DAY = 86_400.0


def stateless_log(seed, *, users=300, most=9):
    """Persons with a trait, an effect of their own and 1 to ``most`` decisions, each in a slot drawn evenly."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, most + 1, users)
    user = np.repeat(np.arange(users), counts)
    n = len(user)
    trait, slot = random.integers(0, 2, users)[user], random.integers(0, 3, n)
    logged = LOGGED[trait, slot]
    sent = random.random(n) < logged
    y = STAY[trait, slot] + sent * EFFECT[trait, slot] + random.normal(size=users)[user] + random.normal(size=n)
    step = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    return PushLog(
        user=user,
        time_s=step * DAY * 0.9,
        sent=sent,
        send_propensity=logged,
        outcomes={"y": y},
        slot=SLOTS[slot],
        context=trait[:, None].astype(float),
        columns={"tilted": np.where(trait == 1, 0.8, 0.1)},
    )


def stateless_truth(send):
    """Mean outcome per decision if the probability of a send is ``send``, broadcast to (trait, slot)."""
    return float(np.mean(STAY + np.broadcast_to(send, STAY.shape) * EFFECT))


HAZARD = 0.003, 0.006  # chance of an opt-out without and with a push


def rare_log(seed, *, users=2_000, each=7):
    """Opt-outs: a few dozen in 14,000 decisions, a third of which sent."""
    random, n = np.random.default_rng(seed), users * each
    sent = random.random(n) < 0.35
    return PushLog(
        user=np.repeat(np.arange(users), each),
        time_s=np.tile(np.arange(each) * DAY, users),
        sent=sent,
        send_propensity=np.full(n, 0.35),
        outcomes={"y": (random.random(n) < np.where(sent, HAZARD[1], HAZARD[0])).astype(float)},
    )


STEPS, FRESH, TIRED, OPEN = 3, 1.0, -0.7, 0.2  # effect of a push, by whether the last decision of the window sent one
START = np.array([0.5, 0.35])  # logged probability of a send, by state


def stateful_log(seed, *, users=400):
    """Each person has one window of three decisions; a push right after a push repels."""
    random = np.random.default_rng(seed)
    sent, logged, y = (np.empty((users, STEPS)) for _ in range(3))
    state = np.zeros(users, dtype=int)
    for step in range(STEPS):
        logged[:, step] = START[state]
        sent[:, step] = random.random(users) < logged[:, step]
        y[:, step] = OPEN + sent[:, step] * np.where(state == 0, FRESH, TIRED) + random.normal(size=users)
        state = sent[:, step].astype(int)
    return PushLog(
        user=np.repeat(np.arange(users), STEPS),
        time_s=np.tile(np.arange(STEPS) * DAY, users),
        sent=sent.ravel() > 0,
        send_propensity=logged.ravel(),
        outcomes={"y": y.ravel()},
    )


def stateful_truth(probability):
    """Mean outcome per decision of sending with a fixed probability, by going through all 2³ paths."""
    total = 0.0
    for path in itertools.product((0, 1), repeat=STEPS):
        chance = np.prod([probability if a else 1 - probability for a in path])
        states = (0, *path[:-1])
        total += chance * sum(OPEN + a * (FRESH if s == 0 else TIRED) for a, s in zip(path, states, strict=True))
    return total / STEPS
