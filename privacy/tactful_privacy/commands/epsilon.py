"""`tactful audit epsilon`: what do rounds cost?"""

from enum import StrEnum
from typing import Annotated

import typer

from tactful_privacy.commands import Delta, Json, bad_input_exits_2, print_json
from tactful_privacy.errors import InvalidInput

_ABSURD_RHO = 1e12  # an exact fraction far above it need not even fit a float


class Accountant(StrEnum):
    """The accountants that `epsilon` knows."""

    ZCDP = "zcdp"


def epsilon(
    noise_multiplier: Annotated[float, typer.Option(help="z, noise deviation over sensitivity, of one round.")],
    rounds: Annotated[int, typer.Option(help="Rounds that one device joins.")],
    delta: Delta,
    accountant: Annotated[Accountant, typer.Option(help="How costs compose.")] = Accountant.ZCDP,
    as_json: Json = False,
) -> None:
    """Print the central epsilon of ROUNDS rounds without sampling."""
    from tactful_privacy.accounting import zcdp
    from tactful_privacy.accounting.events import ComposedEvent, GaussianEvent
    from tactful_privacy.validate import at_least, positive

    with bad_input_exits_2():
        positive(noise_multiplier=noise_multiplier)
        at_least(1, rounds=rounds)
        rho = zcdp.rho_of(ComposedEvent(GaussianEvent(noise_multiplier), rounds))
        if rho > _ABSURD_RHO:
            raise InvalidInput("gives no meaningful epsilon", field="noise_multiplier", remedy="give more noise")
        value = zcdp.epsilon(rho, delta)
    if as_json:
        print_json({"epsilon": value})
    else:
        typer.echo(f"epsilon {value:.6g} at delta {delta:g} over {rounds} rounds ({accountant}, zero-out adjacency)")
