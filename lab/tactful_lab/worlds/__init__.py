"""Simulated worlds of pushes: people with habits, fatigue and patience, for policies to rehearse in.

`World` is advanced slot by slot, `rehearse` runs a policy through one, `compare` pairs the outcomes of two. The numbers
are frozen in ``parameters.toml``; tuning and reporting have seeds of their own.
"""

from tactful_lab.worlds.kinds import KINDS
from tactful_lab.worlds.parameters import Parameters, load, reporting_seeds, tuning_seeds
from tactful_lab.worlds.policies import BASELINES, FixedTime, GreedyOracle, HistogramTime, Never, Policy, RandomTimes
from tactful_lab.worlds.rehearse import Outcome, Paired, compare, rehearse
from tactful_lab.worlds.seen import Observed, Truth, View
from tactful_lab.worlds.world import World

__all__ = [
    "BASELINES",
    "KINDS",
    "FixedTime",
    "GreedyOracle",
    "HistogramTime",
    "Never",
    "Observed",
    "Outcome",
    "Paired",
    "Parameters",
    "Policy",
    "RandomTimes",
    "Truth",
    "View",
    "World",
    "compare",
    "load",
    "rehearse",
    "reporting_seeds",
    "tuning_seeds",
]
