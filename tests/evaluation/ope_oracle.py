"""Off-policy estimators written a second time, from their formulas, in plain loops over Python numbers."""

import numpy as np


def weight(sent, logged, target):
    return (target / logged) if sent else (1 - target) / (1 - logged)


def ips(log, y, target):
    total = 0.0
    for i in range(len(y)):
        total += weight(log.sent[i], log.send_propensity[i], target[i]) * y[i]
    return total / len(y)


def snips(log, y, target):
    top = bottom = 0.0
    for i in range(len(y)):
        w = weight(log.sent[i], log.send_propensity[i], target[i])
        top, bottom = top + w * y[i], bottom + w
    return top / bottom


def switch_dr(log, y, target, stay, send, tau):
    """Sums over both actions as the paper writes them; tau = infinity is the doubly robust estimator."""
    total = 0.0
    for i in range(len(y)):
        w = weight(log.sent[i], log.send_propensity[i], target[i])
        predicted = send[i] if log.sent[i] else stay[i]
        model = target[i] * send[i] + (1 - target[i]) * stay[i]
        total += model + (w * (y[i] - predicted) if w <= tau else 0.0)
    return total / len(y)


def windows(log, y, target, window_s):
    """(Σ ρ·y, Σ ρ, n) with the product of weights since the window's start, walking each person's decisions in time."""
    start = min(log.time_s) // 86_400 * 86_400
    top = bottom = count = 0.0
    for person in sorted(set(log.user.tolist())):
        rows = sorted((i for i in range(len(y)) if log.user[i] == person), key=lambda i: log.time_s[i])
        lost = {(t - start) // window_s for u, t in zip(log.cut_user, log.cut_time_s, strict=True) if u == person}
        current, rho = None, 1.0
        for i in rows:
            window = (log.time_s[i] - start) // window_s
            if window != current:
                current, rho = window, 1.0
            if log.eligible is None or log.eligible[i]:
                rho *= weight(log.sent[i], log.send_propensity[i], target[i])
                if np.isfinite(y[i]) and window not in lost:
                    top, bottom, count = top + rho * y[i], bottom + rho, count + 1
    return top, bottom, count


def ridge(x, y, rows, penalty=1.0):
    """Coefficients of a ridge regression with a free intercept, by least squares on added rows."""
    extra = np.sqrt(penalty) * np.eye(x.shape[1])
    extra[0, 0] = np.sqrt(1e-9)
    return np.linalg.lstsq(np.vstack([x[rows], extra]), np.r_[y[rows], np.zeros(x.shape[1])], rcond=None)[0]


def effective_size(w):
    total = squares = 0.0
    for value in w:
        total, squares = total + value, squares + value * value
    return total * total / squares
