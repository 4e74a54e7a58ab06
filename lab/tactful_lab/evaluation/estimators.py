"""Off-policy estimators of the mean outcome per decision, each as a ratio of two sums over decisions.

A ratio of sums is all that an interval clustered by person needs: sums per person are formed once and resampled. With
w = π(a|x)/p(a|x) of the action that was taken, y the outcome, q̂ an outcome model and q̂_π(x) = Σ_a π(a|x) q̂(x, a):

============  =============================================  ==============================================
ips           Σ w·y / n                                      Horvitz and Thompson 1952
snips         Σ w·y / Σ w                                    Swaminathan and Joachims, NeurIPS 2015
dr            Σ [q̂_π + w·(y − q̂)] / n                        Dudík, Langford and Li, arXiv:1103.4601
switch_dr     Σ [q̂_π + w·1(w ≤ τ)·(y − q̂)] / n               Wang, Agarwal and Dudík, arXiv:1612.01205
window_ips    Σ ρ·y / n, ρ the product of w in the window    per-decision weights, Precup, Sutton and Singh, ICML 2000
window_snips  Σ ρ·y / Σ ρ                                    its self-normalised form
============  =============================================  ==============================================

Equation numbers were not compared with the papers. The first four hold for a policy whose choice now does not change
what is known at the next decision; the window ones let it change that within a window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_lab.evaluation.log import PushLog
from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]
DAY_S = 86_400.0
LONGEST_WINDOW_D = 7.0
_QUANTILES = 32


@dataclass(frozen=True, slots=True)
class Terms:
    """What each decision adds to the numerator and to the denominator of an estimate, both (n,)."""

    numerator: Floats
    denominator: Floats

    @property
    def value(self) -> float:
        """The estimate; NaN where the denominator sums to 0."""
        total = float(self.denominator.sum())
        return float(self.numerator.sum()) / total if total else float("nan")


@dataclass(frozen=True, slots=True)
class Modelled:
    """An outcome model's predictions without and with a push, both (n,)."""

    stay: Floats
    send: Floats

    def of(self, send_probability: ArrayLike) -> Floats:
        """Expected prediction under a probability of a send (n,): 0 and 1 give the two actions' own."""
        send = np.asarray(send_probability, dtype=np.float64)
        return self.stay + send * (self.send - self.stay)


def weights(sent: ArrayLike, send_propensity: ArrayLike, target: ArrayLike) -> Floats:
    """Importance weights w = π(a|x)/p(a|x), (n,).

    Args:
        sent: Whether a push was sent, (n,).
        send_propensity: Its logged probability, (n,).
        target: Its probability under the target policy, (n,), 0 to 1.

    Raises:
        InvalidInput: Shapes differ, a target is outside 0 to 1 or an action had probability 0.
    """
    acted, logged, wanted = np.asarray(sent, dtype=bool), np.asarray(send_propensity), np.asarray(target)
    if not acted.shape == logged.shape == wanted.shape:
        raise InvalidInput("need vectors of one length", field="weights", remedy="give one value for each decision")
    if not np.all((wanted >= 0) & (wanted <= 1)):
        raise InvalidInput("must lie within 0 and 1", field="target", remedy="give probabilities of a send")
    below = np.where(acted, logged, 1 - logged)
    if not np.all(below > 0):
        raise InvalidInput("an action had probability 0", field="send_propensity", remedy="leave such rows out")
    return np.asarray(np.where(acted, wanted, 1 - wanted) / below, dtype=np.float64)


def ips(y: Floats, w: Floats) -> Terms:
    """Inverse propensity scoring: unbiased, and as wide as its largest weights."""
    return Terms(w * y, np.ones_like(w))


def snips(y: Floats, w: Floats) -> Terms:
    """Self-normalised: a little bias for much less spread, and never outside the range of y."""
    return Terms(w * y, w)


def doubly_robust(y: Floats, w: Floats, model: Modelled, *, sent: ArrayLike, target: Floats) -> Terms:
    """Model plus weighted residual: unbiased for any model that was not trained on the same person."""
    return switch_doubly_robust(y, w, model, sent=sent, target=target, threshold=np.inf)


def switch_doubly_robust(
    y: Floats, w: Floats, model: Modelled, *, sent: ArrayLike, target: Floats, threshold: float
) -> Terms:
    """As `doubly_robust`, but where w is above ``threshold`` the model alone speaks: less spread, the model's bias."""
    residual = y - model.of(np.asarray(sent, dtype=np.float64))
    return Terms(model.of(target) + np.where(w <= threshold, w, 0.0) * residual, np.ones_like(w))


def switch_threshold(
    y: Floats, w: Floats, model: Modelled, *, sent: ArrayLike, send_propensity: Floats, target: Floats
) -> float:
    """The threshold that makes estimated variance plus squared bias bound least (arXiv:1612.01205, section on τ).

    The bias bound takes the largest |y| for every decision whose weight could be above the threshold. Candidates are
    32 quantiles of the weights and infinity; of equal ones the larger.
    """
    largest = float(np.max(np.abs(y), initial=0.0))
    residual, base = y - model.of(np.asarray(sent, dtype=np.float64)), model.of(target)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.stack([(1 - target) / (1 - send_propensity), target / send_propensity])
    mass = np.stack([1 - target, target])
    best, found = np.inf, np.inf
    for tau in (np.inf, *np.unique(np.quantile(w, np.linspace(0, 1, _QUANTILES)))[::-1]):
        terms = base + np.where(w <= tau, w, 0.0) * residual
        bias = largest * float(np.mean(np.sum(np.where(ratios > tau, mass, 0.0), axis=0)))
        risk = float(np.var(terms)) / len(w) + bias**2
        if risk < best:
            best, found = risk, float(tau)
    return found


def window_weights(log: PushLog, w: Floats, window_d: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Product of the weights since the window's start up to and with each decision, and whether its window is whole.

    Windows of ``window_d`` days start at midnight UTC of the log's first day, for everyone. A window begins in the
    state that the logged policy left. Decisions without chance have weight 1. A window that lost a row to a data
    problem is not whole: the product would miss a factor.

    Args:
        log: n decisions.
        w: Weight of each, (n,); read only where chance decided.
        window_d: Above 0, at most 7.

    Returns:
        Products, (n,), and a mask, (n,).

    Raises:
        InvalidInput: The window is empty or longer than 7 days.
    """
    if not 0 < window_d <= LONGEST_WINDOW_D:
        message = f"must be above 0 and at most {LONGEST_WINDOW_D:g} days, not {window_d!r}"
        raise InvalidInput(
            message, field="window_d", remedy="weights of longer windows have no use: their spread explodes"
        )
    if log.n == 0:
        return np.zeros(0), np.zeros(0, dtype=bool)
    start = np.floor(log.time_s.min() / DAY_S) * DAY_S
    window = np.floor((log.time_s - start) / (window_d * DAY_S)).astype(np.int64)
    cut = np.floor((log.cut_time_s - start) / (window_d * DAY_S)).astype(np.int64)
    low = min(int(window.min()), int(cut.min(initial=0)))
    span = max(int(window.max()), int(cut.max(initial=0))) - low + 1
    key, cut_key = log.user * span + window - low, log.cut_user * span + cut - low
    order = np.lexsort((log.time_s, key))
    factors = np.where(log.randomised, w, 1.0)[order]
    products = np.empty(log.n)
    products[order] = _running_products(factors, key[order])
    return products, ~np.isin(key, cut_key)


def _running_products(factors: Floats, group: NDArray[np.int64]) -> Floats:
    """Cumulative product within runs of equal ``group``: sums of logarithms, zeros counted apart."""
    zero = factors <= 0
    logs, zeros = np.cumsum(np.log(np.where(zero, 1.0, factors))), np.cumsum(zero)
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    lengths = np.diff(np.r_[first, len(group)])
    before_logs, before_zeros = np.r_[0.0, logs][first], np.r_[0, zeros][first]
    since = np.exp(logs - np.repeat(before_logs, lengths))
    return np.asarray(np.where(zeros > np.repeat(before_zeros, lengths), 0.0, since), dtype=np.float64)
