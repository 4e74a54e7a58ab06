"""The ServerApp: the same on a SuperLink and in one process."""

from collections.abc import Callable

from tactful_server.federation._flwr import Context, Grid, ServerApp
from tactful_server.federation.strategy import RoundResult, SecureRounds

StrategyFor = Callable[[Context], SecureRounds]
OnRound = Callable[[RoundResult], None]
ROUNDS_KEY = "num-rounds"


def _ignore(_result: RoundResult) -> None:
    """Whoever wants the results reads the store."""


def server_app(strategy_for: StrategyFor, on_round: OnRound = _ignore) -> ServerApp:
    """Return a ServerApp that runs as many rounds as the run's configuration says in ``num-rounds`` (1 if absent).

    Args:
        strategy_for: makes or finds the strategy of a run.
        on_round: called with each result.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = strategy_for(context)
        for result in strategy.rounds(grid, int(context.run_config.get(ROUNDS_KEY, 1))):
            on_round(result)

    return app
