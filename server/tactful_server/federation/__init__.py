"""The federation on Flower: strategy, ServerApp, in-process grid and the driver of a whole federation."""

from tactful_server.federation.driver import Federation
from tactful_server.federation.inprocess import Exchange, Fault, InProcessGrid
from tactful_server.federation.server_app import server_app
from tactful_server.federation.strategy import RoundResult, SecureRounds

__all__ = ["Exchange", "Fault", "Federation", "InProcessGrid", "RoundResult", "SecureRounds", "server_app"]
