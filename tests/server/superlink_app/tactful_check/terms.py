"""The terms that both the test and the app go by: two hosts, both needed, nobody colludes."""

import numpy as np

from tactful_privacy.wire import Block
from tactful_server.aggregation import FedAvg
from tactful_server.federation import Federation
from tactful_server.plans import RoundTerms
from tactful_server.service import ModelSpec

DIMENSION = 8
DEVICES = 1_000
TERMS = RoundTerms(epsilon=8.0, delta=1e-6, participations=5, clip_norm=1.0, n_min=2, colluders=0)


def open_federation(home):
    """Open the federation of a directory."""
    model = ModelSpec("tiny", (Block("theta", DIMENSION),), np.zeros(DIMENSION))
    return Federation.open(home, "shop", terms=TERMS, model=model, optimiser=FedAvg())
