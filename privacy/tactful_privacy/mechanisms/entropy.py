"""Where privacy randomness comes from: the operating system, checked on every read.

`random` and `numpy.random` are predictable and have a seed; neither may be reachable from here. (The standard library's
`secrets` imports `random`, so `os.urandom` is used directly.)
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tactful_privacy.errors import TactfulError

Entropy = Callable[[int], bytes]
"""Returns as many uniform, independent bytes as asked for: `os.urandom` everywhere but in tests."""


class EntropyFailure(TactfulError):
    """The source of randomness failed or returned too little; nothing may be released on what it gave."""


def read(entropy: Entropy, count: int) -> bytes:
    """Return ``count`` bytes from ``entropy``.

    Raises:
        EntropyFailure: the source raised, or returned something else than ``count`` bytes.
    """
    remedy = "make the operating system's random source available; no noise is drawn without it"
    try:
        data = entropy(count)
    except (OSError, NotImplementedError) as reason:
        raise EntropyFailure(f"the read failed ({reason})", field="entropy", remedy=remedy) from reason
    if not isinstance(data, bytes) or len(data) != count:
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise EntropyFailure(f"asked for {count} bytes, got {got}", field="entropy", remedy=remedy)
    return data


def words(entropy: Entropy, count: int) -> NDArray[np.uint64]:
    """Return ``count`` uniform 64-bit words, shape (count,).

    Raises:
        EntropyFailure: as `read`.
    """
    return np.frombuffer(read(entropy, 8 * count), dtype="<u8").astype(np.uint64, copy=False)
