"""Secure aggregation: a server adds up what hosts send without seeing any one of them.

`HostSession` is a host's side, `Aggregator` the server's; both are pure and persistable. Pairwise masks and self masks
modulo 2^32, Shamir shares with threshold n_min, and one signed survivor list per round: a sum over fewer than n_min
hosts, hence with too little noise, cannot be opened.
"""

from tactful_privacy.secagg.client import HostSession, SeenKeys
from tactful_privacy.secagg.errors import SecaggError
from tactful_privacy.secagg.server import COLLECTING, Aggregator

__all__ = ["COLLECTING", "Aggregator", "HostSession", "SecaggError", "SeenKeys"]
