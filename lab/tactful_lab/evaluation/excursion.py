"""What a push does to the outcome that follows it: causal excursion effects by weighted and centred least squares.

The effect at a decision, given moderators S and that the user is available, is the difference in the mean of the next
outcome between sending and not sending at that decision alone, the past being what the trial's own policy made it:

    E[Y(past, 1) − Y(past, 0) | S, available] = f(S)ᵀβ.

With p the logged propensity, p̃ a numerator and W = p̃/p if sent, (1 − p̃)/(1 − p) if not, β minimises, over rows where
the user was available, together with α,

    Σ W · (Y − gᵀα − (A − p̃)·fᵀβ)².

Source: Boruvka, Almirall, Witkiewitz and Murphy 2018, arXiv:1601.00237 (its equations' numbers were not checked). Given
the past, W turns the chance of sending into p̃ and A − p̃ is then centred, so that the controls g need not be right for
β to be. (Here f is always spanned by g; where p̃ is constant, centring then moves only α, and it is W that counts.)
Regressing on A without weights is biased as soon as p depends on what also moves Y or the effect: adding that variable
to the regression mends the first and not the second.

The numerator must be the same where f is the same. If it is a constant c, β solves E[c(1 − c)·f(τ − fᵀβ)] = 0, τ being
the effect given the whole past: c cancels. Hence β is the least-squares projection of τ on f even where fᵀβ is not all
there is, and taking c from the data (the mean of p is the default) adds no variance of first order to β. A numerator
that varies is taken as known, and β then does not depend on it only if the effect given S is fᵀβ.

By default effects are differences: for an outcome of 0 and 1, of probabilities. Users are taken to be independent of
each other.
An estimate's bias is of order 1/users, small against its standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tactful_lab.evaluation.emee import fit_relative
from tactful_lab.evaluation.excursion_results import (
    CONSTANT,
    Contrast,
    Effect,
    EffectCurve,
    ExcursionFit,
    Sample,
    effect_of,
)
from tactful_lab.evaluation.sandwich import ClusteredFit, dependent_columns, fit_clustered
from tactful_lab.evaluation.trial import Trial
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import fraction

__all__ = [
    "DEFAULT",
    "Contrast",
    "Effect",
    "EffectCurve",
    "ExcursionFit",
    "Sample",
    "Trial",
    "WclsOptions",
    "average_effect",
    "effect_by_level",
    "effect_over_time",
    "moderated_effect",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WclsOptions:
    """How effects are estimated.

    Attributes:
        numerator: p̃, one number or one for each row, (rows,); None for the mean propensity of the rows used.
        small_sample: Correct as Mancl and DeRouen (2001) and take quantiles of t with n − q − p degrees of freedom
            (n users, q controls with the constant, p effects); if not, the plain sandwich and the normal distribution.
        level: Of the intervals.
        scale: ``difference`` of means, or ``log-rr``, the log of their ratio, see `tactful_lab.evaluation.emee`.
    """

    numerator: float | ArrayLike | None = None
    small_sample: bool = True
    level: float = 0.95
    scale: Literal["difference", "log-rr"] = "difference"


DEFAULT = WclsOptions()


def average_effect(trial: Trial, options: WclsOptions = DEFAULT) -> ExcursionFit:
    """The effect averaged over all decisions at which users were available; the effect is named ``average``.

    Raises:
        InvalidInput: See `moderated_effect`.
    """
    return _fit(trial, np.ones((len(trial.user), 1)), ("average",), options)


def effect_over_time(trial: Trial, day: str = "day", options: WclsOptions = DEFAULT) -> ExcursionFit:
    """The effect as a line in the moderator ``day``: ``constant``, the effect on day 0, and ``day``, its daily change.

    Raises:
        InvalidInput: See `moderated_effect`.
    """
    return moderated_effect(trial, (day,), options)


def moderated_effect(trial: Trial, moderators: Sequence[str], options: WclsOptions = DEFAULT) -> ExcursionFit:
    """The effect as a linear function of moderators, dosage say: ``constant``, and a slope named for each moderator.

    The moderators' main effects join the controls unless the controls already span them.

    Raises:
        InvalidInput: There is no such moderator; a control or an effect is a linear combination of others (both are
            named); sent always or never; the outcome does not vary; not more users than coefficients; a numerator out
            of range or not the same where the moderators are; one user alone tells a term apart (see `fit_clustered`).
    """
    columns = [np.ones(len(trial.user)), *(trial.moderator(name) for name in moderators)]
    return _fit(trial, np.column_stack(columns), (CONSTANT, *moderators), options)


def effect_by_level(
    trial: Trial, moderator: str = "slot", options: WclsOptions = DEFAULT, *, labels: Sequence[str] | None = None
) -> ExcursionFit:
    """The effect at each value of a moderator with few values: ``slot=0``, ``slot=1`` and so on.

    Args:
        trial: The data.
        moderator: Its name.
        options: How to estimate.
        labels: What the values 0, 1, … are called: ``slot=8–10`` in the place of ``slot=0``.

    Raises:
        InvalidInput: See `moderated_effect`; or a value has no label.
    """
    column = trial.moderator(moderator)
    levels = np.unique(column[trial.available])
    return _fit(trial, column[:, None] == levels, _level_names(moderator, levels, labels), options)


def _level_names(moderator: str, levels: Array, labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        return tuple(f"{moderator}={level:.15g}" for level in levels)
    known = dict(enumerate(labels))
    if unknown := [level for level in levels if level not in known]:
        raise InvalidInput(f"no label for {unknown[0]:g}", field="labels", remedy="number the values from 0")
    return tuple(f"{moderator}={known[int(level)]}" for level in levels)


def _fit(trial: Trial, f: NDArray[Any], names: tuple[str, ...], options: WclsOptions) -> ExcursionFit:
    fraction(level=options.level)
    used = _used(trial, f.astype(np.float64), options)
    g, controls = _controls(used, trial.control_names, names)
    x = np.hstack([g, (used.action - used.numerator)[:, None] * used.f])
    _check_rank(x, controls, names)
    users, cluster = np.unique(used.user, return_inverse=True)
    freedom = _degrees_of_freedom(len(users), x.shape[1])
    fit = _solved(used, g, x, cluster, (*controls, *(f"effect of {name}" for name in names)), options)
    covariance = fit.covariance[len(controls) :, len(controls) :]
    t = freedom if options.small_sample else None
    errors = np.sqrt(np.diag(covariance))
    estimates = zip(names, fit.coefficients[len(controls) :], errors, strict=True)
    return ExcursionFit(
        effects=tuple(effect_of(name, float(b), float(error), t, options.level) for name, b, error in estimates),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        controls=controls,
        sample=_sample(trial, used, len(users)),
        numerator=float(used.numerator[0]) if np.ptp(used.numerator) == 0 else None,
        small_sample=options.small_sample,
        degrees_of_freedom=t,
        level=options.level,
    )


def _solved(
    used: "_Used", g: Array, x: Array, cluster: NDArray[np.intp], labels: tuple[str, ...], options: WclsOptions
) -> ClusteredFit:
    corrected = options.small_sample
    if options.scale == "difference":
        return fit_clustered(x, used.outcome, used.weight, cluster, labels, small_sample=corrected)
    columns = (g, used.f, used.action, used.numerator, used.outcome, used.weight)
    return fit_relative(*columns, cluster, small_sample=corrected)


@dataclass(frozen=True, slots=True, eq=False)
class _Used:
    """The rows at which users were available."""

    user: NDArray[np.generic]
    action: Array
    propensity: Array
    outcome: Array
    controls: Array
    f: Array
    numerator: Array

    @property
    def weight(self) -> Array:
        sent, not_sent = self.numerator / self.propensity, (1 - self.numerator) / (1 - self.propensity)
        return np.where(self.action == 1, sent, not_sent)


def _used(trial: Trial, f: Array, options: WclsOptions) -> _Used:
    here = trial.available
    action, propensity, outcome = trial.action[here], trial.propensity[here], trial.outcome[here]
    if np.ptp(action) == 0:
        raise InvalidInput(
            f"{'sent' if action[0] else 'not sent'} at every decision: nothing to compare with",
            field="action",
            remedy="analyse decisions that were randomised",
        )
    if np.ptp(outcome) == 0:
        raise InvalidInput("is the same in every row", field="outcome", remedy="choose an outcome that varies")
    numerator = _numerator(options.numerator, here, propensity, f[here])
    return _Used(trial.user[here], action, propensity, outcome, trial.controls[here], f[here], numerator)


def _numerator(given: float | ArrayLike | None, here: NDArray[np.bool_], propensity: Array, f: Array) -> Array:
    if given is None:
        return np.full(len(propensity), propensity.mean())
    values = np.asarray(given, dtype=np.float64)
    if values.shape not in ((), here.shape):
        raise InvalidInput(f"has shape {values.shape}, not () or {here.shape}", field="numerator")
    values = np.broadcast_to(values, here.shape)[here]
    if not ((values > 0) & (values < 1)).all():
        raise InvalidInput("must lie between 0 and 1", field="numerator", remedy="give 0 < numerator < 1")
    _, group = np.unique(f, axis=0, return_inverse=True)
    first = np.zeros(group.max() + 1)
    first[group] = values
    if np.abs(values - first[group]).max() > 1e-12:
        raise InvalidInput(
            "differs between rows with the same moderators, which would weight the effect",
            field="numerator",
            remedy="give one number, or make what it depends on a moderator",
        )
    return values


def _controls(used: _Used, control_names: tuple[str, ...], names: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """The constant, the controls and those main effects of moderators that these do not span already."""
    own = np.column_stack([np.ones(len(used.f)), used.controls])
    own_names = (CONSTANT, *control_names)
    if found := dependent_columns(own, own_names):
        raise _deficient(found, "controls")
    main_effects = tuple(f"main effect of {name}" for name in names)
    both, both_names = np.hstack([own, used.f]), (*own_names, *main_effects)
    spanned = dependent_columns(both, both_names)
    kept = [column for column, name in enumerate(both_names) if name not in spanned]
    return both[:, kept], tuple(both_names[column] for column in kept)


def _check_rank(x: Array, controls: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Refuse effects that the data cannot tell apart from each other or from the controls."""
    if found := dependent_columns(x, (*controls, *names)):
        raise _deficient(found, "moderators")


def _deficient(found: dict[str, tuple[str, ...]], field: str) -> InvalidInput:
    told = "; ".join(f"{name} is a combination of {', '.join(parts) or 'nothing'}" for name, parts in found.items())
    return InvalidInput(told, field=field, remedy="leave one of them out, or pool levels")


def _degrees_of_freedom(users: int, coefficients: int) -> int:
    if users <= coefficients:
        raise InvalidInput(
            f"{users} users for {coefficients} coefficients",
            field="user",
            remedy="leave out controls or moderators, or wait for more users",
        )
    return users - coefficients


def _sample(trial: Trial, used: _Used, users: int) -> Sample:
    deviation = (used.action - used.propensity).sum()
    return Sample(
        users=users,
        users_never_available=len(np.unique(trial.user)) - users,
        rows=len(used.outcome),
        rows_unavailable=len(trial.user) - len(used.outcome),
        share_sent=float(used.action.mean()),
        max_weight=float(used.weight.max()),
        effective_rows=float(used.weight.sum() ** 2 / (used.weight @ used.weight)),
        randomisation_z=float(deviation / np.sqrt((used.propensity * (1 - used.propensity)).sum())),
    )
