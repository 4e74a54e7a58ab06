"""`tactful audit bound`: what do so many right guesses prove?"""

from typing import Annotated

import typer

from tactful_privacy.commands import Delta, Json, bad_input_exits_2, print_json, print_table


def bound(
    canaries: Annotated[int, typer.Option(help="Canaries, each in or out by its own fair coin.", show_default=False)],
    guesses: Annotated[int, typer.Option(help="Coins that were guessed, a number fixed beforehand.")],
    correct: Annotated[int, typer.Option(help="Guesses that were right.", show_default=False)],
    delta: Delta,
    confidence: Annotated[float, typer.Option(help="Of each bound by itself.")] = 0.95,
    as_json: Json = False,
) -> None:
    """Print lower bounds on epsilon and mu from one run of an audit.

    one_run_epsilon: Steinke, Nasr and Jagielski, arXiv:2305.08846. f_dp_mu: Mahloujifar, Melis and Chaudhuri,
    arXiv:2410.22235, for Gaussian differential privacy; f_dp_epsilon is the epsilon of that mu.
    """
    from tactful_privacy.accounting.gaussian import epsilon_of_mu
    from tactful_privacy.audit import f_dp, one_run

    with bad_input_exits_2():
        mu = f_dp.mu_lower_bound(canaries, guesses, correct, confidence)
        figures = {
            "one_run_epsilon": one_run.epsilon_lower_bound(canaries, guesses, correct, delta, confidence),
            "f_dp_mu": mu,
            "f_dp_epsilon": epsilon_of_mu(mu, delta),
        }
    if as_json:
        print_json(figures)
    else:
        print_table(figures)
