"""A whole round, watched call by call: noise, rounding, keys and masks use `os.urandom` and no other generator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORLD = Path(__file__).parents[1] / "device"

# Runs a round of five hosts in a fresh process. argv: where round_world.py is, and what to do about other generators.
WATCHED_ROUND = """
import collections, json, sys, types
sys.path.insert(0, sys.argv[1])
import numpy
FORBIDDEN = ("random", "secrets", "_random", "numpy.random")

def forbidden(name):
    return any(name == bad or name.startswith(bad + ".") for bad in FORBIDDEN)

def refuse(*args, **kwargs):
    raise AssertionError("a predictable generator was used")

class Empty(types.ModuleType):
    # `cryptography` says "import random" for its RSA; it may have the name, and nothing behind it.
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AssertionError(self.__name__ + "." + name + " was looked at")

if sys.argv[2] == "emptied":
    for name in [name for name in sys.modules if forbidden(name)]:
        del sys.modules[name]
    for name in FORBIDDEN:
        sys.modules[name] = Empty(name)
else:
    import random
    for module in (random, numpy.random):
        for name in dir(module):
            if not name.startswith("_") and callable(getattr(module, name)):
                setattr(module, name, refuse)

from round_world import Federation
drawn, seen = collections.Counter(), set()

def watch(frame, event, argument):
    if event == "call":
        seen.add(frame.f_globals.get("__name__", ""))
    elif event == "c_call":
        seen.add(str(getattr(argument, "__module__", None) or type(getattr(argument, "__self__", None)).__module__))
        if argument.__name__ == "urandom":
            drawn[frame.f_globals["__name__"] + "." + frame.f_code.co_name] += 1

federation = Federation()
sys.setprofile(watch)
aggregator, _ = federation.until("opened")
total = aggregator.open()
sys.setprofile(None)
late = [name for name in sys.modules if forbidden(name) and name not in FORBIDDEN]
print(json.dumps({
    "drawn": drawn, "forbidden": sorted(name for name in seen if forbidden(name)),
    "loaded": late if sys.argv[2] == "emptied" else [],
    "noisy": bool(numpy.ptp(total) > 10**6), "seen": sorted(name for name in seen if name.startswith("tactful")),
}))
"""


@pytest.fixture(scope="module", params=["emptied", "raising"])
def watched(request):
    """What a watched round did: once the generators' modules are empty, once every function of theirs raises."""
    command = [sys.executable, "-c", WATCHED_ROUND, str(WORLD), request.param]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_frame_of_another_generator_runs(watched):
    """No call enters `random`, `_random`, `secrets` or `numpy.random`, and no part of them is loaded behind them."""
    assert watched["forbidden"] == []
    assert watched["loaded"] == []


def test_the_round_was_a_whole_one(watched):
    """The watch saw the encoder, the sampler, the masks and the opening, and the opened sum is noisy."""
    wanted = ("mechanisms.grid", "mechanisms.discrete_gaussian", "secagg.masks", "secagg.opening", "secagg.shamir")
    assert {f"tactful_privacy.{name}" for name in wanted} <= set(watched["seen"])
    assert watched["noisy"]


def test_every_draw_comes_from_the_operating_system(watched):
    """`os.urandom` is called for noise and rounding and for each secret, and from nowhere else in a round."""
    drawn = watched["drawn"]
    assert set(drawn) == {"tactful_privacy.mechanisms.entropy.read", "tactful_privacy.secagg.keys.fresh_secret"}
    # Five hosts draw four secrets each and at least three batches of words for their noise, beside their self-tests.
    assert drawn["tactful_privacy.secagg.keys.fresh_secret"] >= 5 * 4
    assert drawn["tactful_privacy.mechanisms.entropy.read"] >= 5 * 3
