"""Will anything be learned? What the released means can show of the model, against the noise in them, before a run.

A round releases the mean of N updates of norm at most C, plus noise. Let the mean update have norm a C, with a the
*alignment* of the devices, and let the noise of the sum have deviation s in each of d coordinates. Over T rounds the
updates add up along their direction and the noise as a random walk, so

    signal to noise = sqrt(T) a C N / (s sqrt(d)).

With the least noise for a promise, s = z C = C sqrt(T / (2 rho)) under a trusted curator, T falls out: it is
a N sqrt(2 rho / d), what the budget buys in all, and no choice of rounds or clip norm changes it. Hosts that share the
noise pay sqrt(survivors / (n_min - t)) besides.

The threshold is 2. A released displacement x + noise, rescaled as well as can be, keeps snr^2 / (1 + snr^2) of the gain
that x would bring in squared distance (the Wiener filter): 4/5 at 2, half at 1, where the noise is as long as what was
learned. What runs keep is measured in ``benchmarks/cohort.py``: less, below ten, and below one they may do harm.
"""

import math
from dataclasses import dataclass

from tactful_privacy.accounting.calibration import Calibration
from tactful_privacy.accounting.modes import DISTRIBUTED, LOCAL
from tactful_privacy.errors import InvalidInput
from tactful_privacy.validate import at_least, positive

THRESHOLD = 2.0
"""Signal to noise from which a run is said to learn."""

ALIGNMENT = 0.3
"""Norm of the mean update over the clip norm, as in the first gradient round of the shopping households from a public
prior (``benchmarks/cohort.py``), whose clip norm few of them reach. It falls as the model converges."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may be expected of a run.

    Attributes:
        signal_to_noise: over all rounds, see the module.
        signal_to_noise_per_round: of one release.
        mean_update_norm: expected norm of one round's mean update, a C, model units.
        noise_norm: expected norm of the noise in one released mean, model units (root mean square).
        share_learned: of what could be gained without noise, at best: snr^2 / (1 + snr^2).
        can_learn: the signal to noise reaches `THRESHOLD`.
        devices: that contribute.
        smallest_cohort: the fewest devices that would reach it, all else equal.
        dimension: model coordinates.
    """

    signal_to_noise: float
    signal_to_noise_per_round: float
    mean_update_norm: float
    noise_norm: float
    share_learned: float
    can_learn: bool
    devices: int
    smallest_cohort: int
    dimension: int

    @property
    def sentence(self) -> str:
        """The verdict for an operator, in one line."""
        size = f"{self.devices} devices for {self.dimension} coordinates"
        ratio = f"signal to noise {self.signal_to_noise:.2g} over the whole run"
        if self.can_learn:
            return f"can learn: {size}, {ratio}; {self.smallest_cohort} devices would do"
        word = "cannot work" if self.signal_to_noise < 1 else "doubtful"
        return f"{word}: {size}, {ratio}; at best {self.share_learned:.0%} of the gain would be left; " + (
            f"at least {self.smallest_cohort} devices are needed"
        )


def outlook(
    *,
    devices: int,
    noise_deviation: float,
    dimension: int,
    clip_norm: float,
    participations: int,
    alignment: float = ALIGNMENT,
    noise_per_device: bool = False,
) -> Outlook:
    """Return what a run can be expected to learn.

    Args:
        devices: N that contribute to a round.
        noise_deviation: s, of the noise of the *sum* in each coordinate, in model units; of one device's noise where
            ``noise_per_device``; 0 for no noise.
        dimension: d, model coordinates, without statistics.
        clip_norm: C, in model units.
        participations: T, rounds.
        alignment: a, above 0, at most 1.
        noise_per_device: each device adds its own noise (mode ``local``), so that the sum's grows with the cohort.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(1, devices=devices)
    needed = smallest_cohort(
        noise_deviation=noise_deviation,
        dimension=dimension,
        clip_norm=clip_norm,
        participations=participations,
        alignment=alignment,
        noise_per_device=noise_per_device,
    )
    deviation = noise_deviation * (math.sqrt(devices) if noise_per_device else 1)
    signal, noise = alignment * clip_norm, deviation * math.sqrt(dimension) / devices
    once = signal / noise if noise else math.inf
    whole = math.sqrt(participations) * once
    return Outlook(
        signal_to_noise=whole,
        signal_to_noise_per_round=once,
        mean_update_norm=signal,
        noise_norm=noise,
        share_learned=1 / (1 + whole**-2) if whole else 0.0,
        can_learn=devices >= needed,
        devices=devices,
        smallest_cohort=needed,
        dimension=dimension,
    )


def smallest_cohort(
    *,
    noise_deviation: float,
    dimension: int,
    clip_norm: float,
    participations: int,
    alignment: float = ALIGNMENT,
    noise_per_device: bool = False,
) -> int:
    """Return the fewest devices whose signal to noise over the run reaches `THRESHOLD`; arguments as for `outlook`.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(1, dimension=dimension, participations=participations)
    positive(clip_norm=clip_norm)
    if not 0 <= noise_deviation < math.inf:
        remedy = "give a finite noise_deviation >= 0"
        raise InvalidInput(f"is {noise_deviation!r}", field="noise_deviation", remedy=remedy)
    if not 0 < alignment <= 1:
        raise InvalidInput(f"is {alignment!r}", field="alignment", remedy="give 0 < alignment <= 1")
    needed = THRESHOLD * noise_deviation * math.sqrt(dimension / participations) / (alignment * clip_norm)
    return max(1, math.ceil(needed**2 if noise_per_device else needed))


def outlook_of(
    calibration: Calibration,
    *,
    devices: int,
    survivors: int,
    dimension: int,
    clip_norm: float,
    alignment: float = ALIGNMENT,
    mode: str = DISTRIBUTED,
) -> Outlook:
    """Return `outlook` for a calibrated plan: each survivor, each device, or the server alone has added its noise.

    Args:
        calibration: of the plan, by `modes.calibrate_in_mode`.
        devices: of the surviving hosts.
        survivors: hosts expected in a sum.
        dimension: model coordinates, without statistics and canaries.
        clip_norm: C, in model units.
        alignment: see `outlook`.
        mode: of the plan.

    Raises:
        InvalidInput: an argument out of range.
    """
    at_least(1, survivors=survivors)
    return outlook(
        devices=devices,
        noise_deviation=calibration.sigma_host * (math.sqrt(survivors) if mode == DISTRIBUTED else 1),
        dimension=dimension,
        clip_norm=clip_norm,
        participations=calibration.participations,
        alignment=alignment,
        noise_per_device=mode == LOCAL,
    )
