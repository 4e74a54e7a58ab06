"""A slow, independent epsilon of Gaussians on Poisson samples: no grid of losses, no convolution, no Fourier transform.

With the loss L = log dP/dQ of one step and its moments M(u) = E_P[exp(u L)], T steps have

    delta(epsilon) = E[(1 - exp(epsilon - L_1 - ... - L_T))_+] = 1/(2 pi i) int M(u)^T exp(-u epsilon) / (u (u + 1)) du

along any vertical line with real part c > 0, since 1/(u (u + 1)) is the two-sided Laplace transform of (1 - exp(-x))_+.
The line goes through the saddle point. Both integrals, over the line and over the noise, are trapezoids of analytic
functions, which converge exponentially. ``python -m tests.privacy.pld_oracle`` writes the table of settings anew.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import optimize

TABLE = Path(__file__).resolve().parents[1] / "vectors" / "pld_epsilon.json"
_REACH, _NODES, _CHUNK, _MOST = 14.0, 6001, 250, 400_000


@dataclass(frozen=True)
class Setting:
    noise_multiplier: float
    sampling_rate: float
    rounds: int
    delta: float


SETTINGS = (
    Setting(13.888, 1, 120, 1e-6),
    Setting(1, 1, 1, 1e-5),
    Setting(0.7, 1, 1, 1e-6),
    Setting(5, 1, 1000, 1e-8),
    Setting(50, 1, 30, 1e-5),
    Setting(2, 1, 4, 1e-10),
    Setting(1, 0.01, 1000, 1e-5),
    Setting(0.6, 0.001, 10_000, 1e-7),
    Setting(2, 0.1, 1000, 1e-6),
    Setting(5, 0.5, 500, 1e-6),
    Setting(0.5, 0.01, 100, 1e-6),
    Setting(4, 0.01, 10_000, 1e-9),
    Setting(3, 0.9, 100, 1e-6),
    Setting(0.4, 0.001, 1000, 1e-8),
    Setting(1.5, 0.02, 20_000, 1e-10),
    Setting(1.1, 0.00427, 14_000, 1e-5),
    Setting(0.8, 0.05, 50, 1e-6),
    Setting(10, 0.2, 100, 1e-5),
    Setting(1, 0.3, 10, 1e-6),
    Setting(1, 0.0001, 100, 1e-6),
)


class Steps:
    """T steps of one Gaussian on a sample, in one direction of the neighbouring relation."""

    def __init__(self, setting, *, remove):
        mu, rate = 1 / setting.noise_multiplier, setting.sampling_rate
        x = np.linspace(-_REACH, _REACH + mu, _NODES)
        with np.errstate(divide="ignore"):
            ratio = np.logaddexp(np.log1p(-rate), math.log(rate) + mu * x - mu * mu / 2)
        log_q = -x * x / 2 - math.log(2 * math.pi) / 2 + math.log(x[1] - x[0])
        self.loss = ratio if remove else -ratio
        self.log_p = log_q + ratio if remove else log_q
        self.count = setting.rounds

    def log_moment(self, u):
        """log M(u) for real u."""
        exponents = self.log_p + u * self.loss
        return exponents.max() + math.log(np.exp(exponents - exponents.max()).sum())

    def delta(self, epsilon):
        """delta(epsilon), epsilon >= 0."""

        def log_height(t):
            c = math.exp(t)
            return self.count * self.log_moment(c) - c * epsilon - math.log(c) - math.log1p(c)

        best = optimize.minimize_scalar(log_height, bounds=(-6, 9), method="bounded", options={"xatol": 1e-6})
        c = math.exp(best.x)
        weights = np.exp(self.log_p + c * self.loss - self.log_moment(c))
        spread = self.count * (weights @ (self.loss - weights @ self.loss) ** 2) + 1 / c**2
        return math.exp(log_height(best.x)) * self._line(epsilon, c, weights, 0.05 / math.sqrt(spread)) / math.pi

    def _line(self, epsilon, c, weights, step):
        """The integrand over its value on the real axis, summed over half the line."""
        total, start = 0.0, 0
        while True:
            tau = np.arange(start, start + _CHUNK) * step
            moments = np.exp(1j * np.outer(tau, self.loss)) @ weights
            u = c + 1j * tau
            values = (np.exp(self.count * np.log(moments) - 1j * tau * epsilon) * c * (c + 1) / (u * (u + 1))).real
            values[0] *= 0.5 if start == 0 else 1.0
            total += values.sum() * step
            start += _CHUNK
            if np.abs(values).max() * tau[-1] < 1e-9 * abs(total) or start > _MOST:
                return total


def delta_of(setting, epsilon):
    """delta at epsilon, the larger of the two directions."""
    return max(Steps(setting, remove=remove).delta(epsilon) for remove in (True, False))


def epsilon_of(setting):
    """The root, to eight digits."""

    def excess(epsilon):
        return math.log(max(delta_of(setting, epsilon), 1e-300) / setting.delta)

    high = 1e-3
    while excess(high) > 0:
        high *= 2
    return optimize.brentq(excess, high / 2 if high > 1e-3 else 1e-12, high, rtol=1e-9, xtol=1e-14)


def main():
    rows = []
    for setting in SETTINGS:
        rows.append(asdict(setting) | {"epsilon": float(f"{epsilon_of(setting):.9g}")})
        print(rows[-1], flush=True)
    TABLE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
