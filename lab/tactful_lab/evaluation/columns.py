"""From a file to columns, and from a column's text to numbers, codes and times."""

import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tactful_lab.evaluation.mapping import LogMap
from tactful_privacy.errors import InvalidInput

Floats = NDArray[np.float64]
_HAS_OFFSET = r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_FARTHEST_S = 9e9  # pandas knows the years 1678 to 2262
_UNIT_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def load_frame(path: Path, plan: LogMap, columns: Iterable[str]) -> Any:
    """The named columns of a CSV (``.csv``, ``.csv.gz``, ``.tsv``, ``.txt``) or Parquet file, as a pandas frame.

    Raises:
        InvalidInput: The file cannot be read, is in another encoding, or lacks a column.
    """
    wanted = list(dict.fromkeys(columns))
    parquet = path.suffix.lower() in {".parquet", ".pq"}
    try:
        frame = pd.read_parquet(path) if parquet else _read_csv(path, plan)
    except UnicodeDecodeError as error:
        remedy = "set encoding in the mapping, e.g. gb18030 or latin-1"
        raise InvalidInput(f"is not {plan.encoding}", field=str(path), remedy=remedy) from error
    except (OSError, EOFError, zlib.error, ValueError, pa.ArrowException) as error:
        raise InvalidInput(f"cannot be read: {error}", field=str(path), remedy="give a CSV or Parquet file") from error
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        message = f"no column {missing[0]!r}"
        raise InvalidInput(message, field=str(path), remedy=f"it has {', '.join(map(str, frame.columns))}")
    return frame[wanted].reset_index(drop=True)


def _read_csv(path: Path, plan: LogMap) -> Any:
    separator = "\t" if path.suffix.lower() == ".tsv" and plan.delimiter == "," else plan.delimiter
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "index_col": False, "on_bad_lines": "error"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # more fields than the header names: nothing is cut off
        try:
            return pd.read_csv(path, encoding=plan.encoding, sep=separator, **options)
        except pd.errors.ParserWarning as error:
            raise ValueError(str(error)) from error


def text_of(column: Any, plan: LogMap) -> NDArray[np.object_]:
    """Text of each value, blanks cut off; None where it is missing. Whole floats read as integers, so 1.0 is ``1``."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    missing = {code.strip().casefold() for code in plan.missing_codes}
    words = [_word(value) for value in values]
    table = np.array([*(None if word.casefold() in missing else word for word in words), None], dtype=object)
    return np.asarray(table[codes], dtype=object)


def _word(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def coded(words: NDArray[np.object_], yes: Iterable[str], no: Iterable[str]) -> NDArray[np.int8]:
    """1 for a code of ``yes``, 0 for one of ``no``, −1 for a missing value and −2 for an unknown code, shape (n,)."""
    table = {code.strip().casefold(): 0 for code in no} | {code.strip().casefold(): 1 for code in yes}
    codes, values = pd.factorize(words, use_na_sentinel=True)
    found = [table.get(str(value).casefold(), -2) for value in values]
    return np.asarray(np.array([*found, -1], dtype=np.int8)[codes], dtype=np.int8)


def number(column: Any, plan: LogMap) -> tuple[Floats, NDArray[np.bool_]]:
    """The numbers of a column, NaN where there is none, and a mask of values that are there and are no number.

    A missing code that is a number is compared as one: ``-999`` also covers ``-999.0``.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        absent = np.isnan(values)
    else:
        values, absent = _number_in_text(text_of(column, plan), plan)
    codes = pd.to_numeric(pd.Series(plan.missing_codes, dtype=object), errors="coerce").dropna()
    absent |= np.isin(values, codes.to_numpy(dtype=np.float64))
    finite = np.isfinite(values)
    return np.where(finite & ~absent, values, np.nan), ~absent & ~finite


def _number_in_text(words: NDArray[np.object_], plan: LogMap) -> tuple[Floats, NDArray[np.bool_]]:
    absent = np.array([word is None for word in words], dtype=bool)
    text = pd.Series(words, dtype=object).where(~absent, "nan").astype(str).str.casefold()
    text = text.str.replace(",", ".", regex=False) if plan.decimal == "," else text
    text = text.replace({"true": "1", "false": "0"})
    return pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64), absent


def seconds(column: Any, plan: LogMap) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds since 1970 in UTC, NaN where there is none, and a mask of values that are no instant.

    A local time that the clock shows twice or never is no instant.
    """
    if plan.time_unit != "iso" and not pd.api.types.is_datetime64_any_dtype(column):
        values, unreadable = number(column, plan)
        found = values * _UNIT_S[plan.time_unit]
        far = np.abs(found) > _FARTHEST_S
        return np.where(far, np.nan, found), unreadable | far
    if pd.api.types.is_datetime64_any_dtype(column):
        absent = column.isna().to_numpy()
        stamps = column if column.dt.tz is not None else _localised(column, plan)
    else:
        words = pd.Series(text_of(column, plan), dtype=object)
        absent = words.isna().to_numpy()
        stamps = _parsed(words.where(~words.isna(), "").astype(str), plan)
    found = ((stamps.dt.tz_convert("UTC") - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    return found, ~absent & np.isnan(found)


def _parsed(words: Any, plan: LogMap) -> Any:
    aware = pd.to_datetime(words, utc=True, errors="coerce", format="ISO8601")
    naive = ~words.str.contains(_HAS_OFFSET, regex=True)
    if plan.time_zone == "UTC" or not naive.any():
        return aware
    local = _localised(aware.where(naive).dt.tz_localize(None), plan)
    return aware.where(~naive, local.dt.tz_convert("UTC"))


def _localised(stamps: Any, plan: LogMap) -> Any:
    return stamps.dt.tz_localize(plan.time_zone, ambiguous="NaT", nonexistent="NaT")
