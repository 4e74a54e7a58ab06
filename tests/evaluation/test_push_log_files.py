"""CSV and Parquet logs of many spellings hold the same decisions."""

import numpy as np
import pandas as pd
import pytest

from tactful_lab.evaluation.log import PushLog, read_log
from tactful_lab.evaluation.mapping import LogMap
from tactful_privacy.errors import InvalidInput

PLAN = LogMap("用户", "at", "sent", (("y", "y"),), propensity="p", slot="slot")
TIMES = pd.to_datetime(["2026-03-01 10:00", "2026-03-01 23:30", "2026-03-02 01:00"])
FRAME = pd.DataFrame({"用户": ["甲", "乙", "甲"], "at": TIMES, "sent": [True, False, True]})
FRAME = FRAME.assign(p=[0.25, 0.5, 0.125], y=[1.5, np.nan, 0.0], slot=[18, 20, 18])
SECONDS = [stamp.timestamp() for stamp in TIMES.tz_localize("UTC")]


def check(loaded):
    log = loaded.log
    assert log.user.tolist() == [0, 1, 0]
    assert log.time_s.tolist() == SECONDS
    assert log.sent.tolist() == [True, False, True]
    assert log.propensity.tolist() == [0.25, 0.5, 0.125]
    assert np.array_equal(log.outcomes["y"], [1.5, np.nan, 0.0], equal_nan=True)
    assert log.slot.tolist() == ["18", "20", "18"]
    assert [problem.kind for problem in loaded.problems] == ["missing_outcome"]


def replaced(**fields):
    return LogMap(**({name: getattr(PLAN, name) for name in PLAN.__slots__} | fields))


def test_parquet_with_types(tmp_path):
    """Booleans, floats, integers and times without a zone."""
    path = tmp_path / "log.parquet"
    FRAME.to_parquet(path)
    check(read_log(path, PLAN))
    FRAME.assign(at=TIMES.tz_localize("UTC").tz_convert("Asia/Tokyo"), sent=[1.0, 0.0, 1.0]).to_parquet(path)
    check(read_log(path, PLAN))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), (";", ","), ("\t", ".")])
def test_csv_of_many_spellings(tmp_path, encoding, delimiter, decimal):
    """Encoding, delimiter and decimal mark by stated options."""
    path = tmp_path / "log.csv"
    FRAME.to_csv(path, index=False, encoding=encoding, sep=delimiter, decimal=decimal)
    read = "utf-8-sig" if encoding == "utf-8" else encoding
    check(read_log(path, replaced(encoding=read, delimiter=delimiter, decimal=decimal)))


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_number_may_stand_for_a_missing_value(tmp_path, name):
    """-999 by a stated code, in text and as a number; an infinite outcome is unreadable, not missing."""
    frame = FRAME.assign(y=[1.5, -999.0, 0.0])
    plan = replaced(missing_codes=("", "-999"))
    write = frame.to_csv if name.endswith("csv") else frame.to_parquet
    write(tmp_path / name, index=False)
    check(read_log(tmp_path / name, plan))
    odd = FRAME.assign(y=[1.5, np.inf, 0.0], p=FRAME["p"].astype("Float64"))
    write = odd.to_csv if name.endswith("csv") else odd.to_parquet
    write(tmp_path / name, index=False)
    assert [problem.kind for problem in read_log(tmp_path / name, plan).problems] == ["unreadable_outcome"]


def test_compressed_csv(tmp_path):
    """As pandas writes it."""
    path = tmp_path / "log.csv.gz"
    FRAME.to_csv(path, index=False)
    check(read_log(path, PLAN))


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000)])
def test_times_as_numbers(tmp_path, unit, factor):
    """Since 1970, in UTC."""
    path = tmp_path / "log.csv"
    FRAME.assign(at=[int(s * factor) for s in SECONDS]).to_csv(path, index=False)
    check(read_log(path, replaced(time_unit=unit)))


def test_local_times_take_the_stated_zone_and_offsets_stand_over_it(tmp_path):
    """Also mixed in one column; the hour that the clock shows twice is listed and no instant."""
    path = tmp_path / "log.csv"
    local = ["2026-03-01 11:00", "2026-03-01T23:30:00Z", "2026-03-01T20:00:00-05:00"]
    FRAME.assign(at=local).to_csv(path, index=False)
    check(read_log(path, replaced(time_zone="Europe/Berlin")))
    FRAME.assign(at=["2026-10-25 02:30", "2026-03-29 02:30", "2026-03-02 02:00"]).to_csv(path, index=False)
    loaded = read_log(path, replaced(time_zone="Europe/Berlin"))
    assert loaded.log.time_s.tolist() == SECONDS[2:]
    problem = loaded.problems[0]
    assert (problem.kind, problem.rows) == ("unreadable_time", (1, 2))


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("log.csv", "用户,at\n".encode("gb18030"), "encoding"),
        ("log.csv", b"", "cannot be read"),
        ("log.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read"),
        ("log.csv", b"a,b\n1,2,3\n1,2,3\n", "cannot be read"),
        ("log.parquet", b"not parquet", "cannot be read"),
        ("log.csv", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_typed_error(tmp_path, name, data, match):
    """Wrong encoding, empty, ragged, no Parquet, no file."""
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidInput, match=match):
        read_log(path, PLAN)


def test_a_log_from_arrays_checks_them():
    """Lengths, indices, probabilities, impossible actions."""
    good = {"user": np.zeros(2, int), "time_s": np.zeros(2), "sent": np.array([True, False])}
    good |= {"send_propensity": np.full(2, 0.5), "outcomes": {"y": np.zeros(2)}}
    assert PushLog(**good).propensity.tolist() == [0.5, 0.5]
    for change in (
        {"time_s": np.zeros(3)},
        {"outcomes": {"y": np.zeros(1)}},
        {"user": np.array([-1, 0])},
        {"send_propensity": np.array([0.5, 1.5])},
        {"send_propensity": np.array([0.5, 1.0])},
    ):
        with pytest.raises(InvalidInput):
            PushLog(**(good | change))
