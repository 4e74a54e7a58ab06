"""`tactful audit epsilon`: what do rounds cost?"""

import math
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from tactful_privacy.commands import Delta, Json, bad_input_exits_2, print_json
from tactful_privacy.errors import InvalidInput

_LEAST_NOISE = 1e-6  # far below it an epsilon need not even fit a float
_MOST_NOISE = 1e100  # far above it the price of a round is smaller than any float


class Name(StrEnum):
    """The accountants that `epsilon` knows."""

    ZCDP = "zcdp"
    RDP = "rdp"
    PLD = "pld"
    GDP = "gdp"


def epsilon(
    noise_multiplier: Annotated[float, typer.Option(help="z, noise deviation over sensitivity, of one round.")],
    rounds: Annotated[int, typer.Option(help="Rounds that one device joins.")],
    delta: Delta,
    sampling_rate: Annotated[
        float, typer.Option(help="Chance of each device to be in a round; needs fair, secret, independent coins.")
    ] = 1.0,
    accountant: Annotated[Name, typer.Option(help="How costs compose; the device's own is zcdp.")] = Name.ZCDP,
    as_json: Json = False,
) -> None:
    """Print the central epsilon of ROUNDS rounds of Gaussian noise, and why the figure holds.

    Tactful's own rounds are never sampled: a server cannot prove to a device that it sampled fairly.
    """
    from tactful_privacy.accounting.accountants import report
    from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent, PoissonSampledEvent
    from tactful_privacy.validate import at_least, positive

    with bad_input_exits_2():
        positive(noise_multiplier=noise_multiplier)
        at_least(1, rounds=rounds)
        if noise_multiplier < _LEAST_NOISE:
            raise InvalidInput("gives no meaningful epsilon", field="noise_multiplier", remedy="give more noise")
        if noise_multiplier > _MOST_NOISE:
            raise InvalidInput("is too much to tell its price", field="noise_multiplier", remedy="give less noise")
        one = PoissonSampledEvent(GaussianEvent(noise_multiplier), sampling_rate)
        found = report(accountant.value, ComposedEvent(one, rounds), delta)
        if not math.isfinite(found.epsilon):
            raise InvalidInput("gives no finite epsilon", field="noise_multiplier", remedy="give more noise")
    if as_json:
        asked = {"noise_multiplier": noise_multiplier, "rounds": rounds, "sampling_rate": sampling_rate}
        print_json({**asdict(found), **asked, "adjacency": "zero-out"})
        return
    sampled = f", sampling rate {sampling_rate:g}" if sampling_rate < 1 else ""
    typer.echo(f"epsilon {found.epsilon:.6g} at delta {delta:g} over {rounds} rounds{sampled} ({accountant}, zero-out)")
    typer.echo(f"{'formal' if found.formal else 'no claim'}: {found.why_valid}")
