"""UTC instants to local clock time, for arrays, by time zone and never by a fixed offset."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

# Every change of an offset in the tz database since 1970 falls on a whole quarter of an hour of UTC.
_BIN_S = 900
_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


class LocalTimes(NamedTuple):
    """Local clock readings, each of shape (n,): proleptic day ordinal, and second of the day by the clock."""

    day: NDArray[np.int32]
    second_of_day: NDArray[np.int32]

    @property
    def hour(self) -> NDArray[np.int32]:
        """Hour on the local clock, 0 to 23, shape (n,)."""
        return self.second_of_day // 3600


def _offset_s(instant_s: int, zone: ZoneInfo) -> int:
    """Offset from UTC in seconds at one instant."""
    offset = datetime.fromtimestamp(instant_s, tz=zone).utcoffset() or timedelta(0)
    return int(offset.total_seconds())


def to_local(at: NDArray[np.datetime64], zone: ZoneInfo) -> LocalTimes:
    """Convert UTC instants of shape (n,) to local day ordinals and seconds of the day.

    One look-up per distinct quarter of an hour, the grain at which offsets change.
    """
    instant_s = at.astype("datetime64[s]").astype(np.int64)
    bins, where = np.unique(instant_s // _BIN_S, return_inverse=True)
    offsets = np.array([_offset_s(int(b) * _BIN_S, zone) for b in bins], dtype=np.int64)
    local_s = instant_s + offsets[where]
    day, second = np.divmod(local_s, 86_400)
    return LocalTimes((day + _EPOCH_ORDINAL).astype(np.int32), second.astype(np.int32))
