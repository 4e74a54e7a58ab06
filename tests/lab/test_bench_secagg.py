"""The benchmark of secure aggregation measures whole rounds, ours and Flower's; its tables hold what was measured."""

import pytest
from benchmarks import secagg, secagg_table, secaggplus


@pytest.fixture(scope="module")
def rows():
    """Ten hosts, 64 coordinates: both schemes, and ours under a graph of twenty hosts."""
    cases = [(secagg.complete(10, 64), secagg.measure), (secagg.same(24, 64), secagg.measure)]
    cases.append((secagg.flower(10, 64), secaggplus.measure))
    return [row for case, by in cases for row in secagg.rows_of(case, by(case))]


def test_each_case_has_time_and_bytes_of_every_stage(rows):
    """Five stages of ours, six with a committee, four of Flower's."""
    found = secagg_table.cases([row.as_dict() for row in rows])
    stages = {
        key[0]: [stage for stage in secagg_table.STAGES if f"{stage} · sent" in figures]
        for key, figures in found.items()
    }
    assert stages == {
        secagg_table.COMPLETE: ["keys", "shares", "contribution", "sign", "unmask"],
        secagg_table.SAME: ["keys", "shares", "contribution", "sign", "endorse", "unmask"],
        secagg_table.FLOWER: ["keys", "shares", "contribution", "unmask"],
    }
    assert all(figures["all hosts"] > 0 and figures["server"] > 0 for figures in found.values())


def test_sizes_are_those_of_the_messages(rows):
    """A contribution of 64 coordinates is 256 bytes and an envelope; what all stages send adds up."""
    figures = secagg_table.cases([row.as_dict() for row in rows])[secagg_table.COMPLETE, 10, 64]
    assert 256 < figures["contribution · sent"] < 512
    assert figures["sent by a host"] == pytest.approx(
        sum(figures[f"{stage} · sent"] for stage in ("keys", "shares", "contribution", "sign", "unmask"))
    )


def test_every_case_stands_in_the_table_and_the_picture(rows):
    """One line per case; the picture names the schemes."""
    dicts = [row.as_dict() for row in rows]
    text = "\n".join(secagg_table.table(dicts))
    for layout, hosts in ((secagg_table.COMPLETE, 10), (secagg_table.SAME, 24), (secagg_table.FLOWER, 10)):
        assert f"| {layout} | {hosts} | 64 |" in text
    assert "<svg" in secagg_table.picture(dicts)


def test_the_cases_are_those_of_the_plan():
    """10, 100 and 1,000 hosts × 64, 512 and 4,096 coordinates, one host in ten silent."""
    ours = {(case.hosts, case.dimension) for case in secagg.ours()}
    assert {(hosts, d) for hosts in (10, 100, 1000) for d in (64, 512, 4096)} <= ours
    assert len(secagg.graph(1000, 512).gone) == 100
    assert len(secagg.complete(10, 64).gone) == 1
