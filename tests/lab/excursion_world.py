"""A written-out micro-randomised trial in which pushes tire people, so that every effect is known.

At each of T decisions a user is tired (S = 1) or not; a push makes the next tiredness likelier, tiredness makes being
available, being sent a push, the outcome and the effect of a push all smaller:

    P(S = 1 | pushed before) = 0.3 + 0.4·pushed      P(available | S) = 0.9 − 0.2·S      P(sent | S) = 0.5 − 0.4·S
    Y = b − 1.0·S + A·(0.4 − 0.6·S + slope·day − fatigue·dosage) + e,   dosage ← 0.5·dosage + pushed,

b a user's own level, e an autoregression with correlation 0.5. S starts in its stationary law, so that
P(S = 1 | available) is the same at all times.
"""

import numpy as np

from tactful_lab.evaluation.excursion import Trial

AVAILABLE = np.array([0.9, 0.7])
SENT = np.array([0.5, 0.1])
TIRED = np.array([0.3, 0.7])  # without and with a push at the decision before
FRESH_EFFECT, TIRED_EFFECT, TIRED_LEVEL = 0.4, -0.2, -1.0


def tired_share():
    """P(S = 1) in the stationary law: π = 0.3 + 0.4·((1 − π)·0.9·0.5 + π·0.7·0.1), solved for π."""
    pushed = AVAILABLE * SENT
    step = TIRED[1] - TIRED[0]
    return (TIRED[0] + step * pushed[0]) / (1 + step * (pushed[0] - pushed[1]))


def tired_share_available():
    """P(S = 1 | available)."""
    tired = tired_share() * AVAILABLE[1]
    return tired / (tired + (1 - tired_share()) * AVAILABLE[0])


def average_truth():
    """E[effect | available] with slope = fatigue = 0."""
    return FRESH_EFFECT + (TIRED_EFFECT - FRESH_EFFECT) * tired_share_available()


def adjusted_regression_limit():
    """What a regression of Y on 1, S and A tends to: the effects given S, weighted by P(S | available)·p(1 − p)."""
    share = tired_share_available()
    weight = np.array([1 - share, share]) * SENT * (1 - SENT)
    return float(weight @ [FRESH_EFFECT, TIRED_EFFECT] / weight.sum())


def draw(seed, users, decisions, *, slope=0.0, fatigue=0.0, tiring=True):
    """One trial: rows by user, then by decision; with ``tiring`` off the effect is the same whether tired or not."""
    random = np.random.default_rng(seed)
    level = random.normal(0, 0.5, users)
    noise = random.normal(0, 1, users)
    tired = random.random(users) < tired_share()
    dosage = np.zeros(users)
    rows = {name: np.zeros((users, decisions)) for name in ("tired", "available", "action", "p", "y", "dosage")}
    for day in range(decisions):
        s = tired.astype(int)
        available = random.random(users) < AVAILABLE[s]
        action = available & (random.random(users) < SENT[s])
        effect = (np.array([FRESH_EFFECT, TIRED_EFFECT])[s] if tiring else FRESH_EFFECT) + slope * day
        y = level + TIRED_LEVEL * s + action * (effect - fatigue * dosage) + noise
        for name, values in zip(rows, (s, available, action, SENT[s], y, dosage), strict=True):
            rows[name][:, day] = values
        dosage = 0.5 * dosage + action
        tired = random.random(users) < TIRED[action.astype(int)]
        noise = 0.5 * noise + np.sqrt(0.75) * random.normal(0, 1, users)
    flat = {name: table.ravel() for name, table in rows.items()}
    day = np.tile(np.arange(decisions), users)
    return Trial.of(
        user=np.repeat(np.arange(users), decisions),
        available=flat["available"],
        action=flat["action"],
        propensity=flat["p"],
        outcome=flat["y"],
        controls={"tired before": flat["tired"]},
        moderators={"day": day, "state": flat["tired"], "dosage": flat["dosage"], "third": day * 3 // decisions},
    )
