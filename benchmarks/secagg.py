"""What one round of secure aggregation costs: CPU time of all hosts and of the server, and bytes, stage by stage.

n hosts × d coordinates; one host in ten falls silent after it sent its shares, which is the dearest moment: its mask
key is rebuilt from the others' shares. All hosts of a case run in one process, one after the other, so CPU seconds are
what all of them spend together, on however many cores. Beside it, measured alike, Flower's own SecAgg+.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from unittest.mock import patch

import numpy as np
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import secaggplus
from benchmarks._harness import ROOT, Row
from benchmarks.secagg_case import Case, Measured, Stages
from benchmarks.secagg_table import COMPLETE, FLOWER, GRAPH, SAME, picture
from tactful_privacy.secagg import Aggregator, HostSession, thresholds
from tactful_privacy.secagg.testing import answer, make_plan, make_roster

DIMENSIONS = (64, 512, 4096)
ROUND_BAR_S, CONTRIBUTION_BAR_B = 60.0, 4096
SAME_SHARES, SAME_THRESHOLD = 21, 11
"""Twenty neighbours: what Flower can be run with in minutes. Too few for our threat model."""
PICTURE = ROOT / "docs" / "images" / "secagg-growth.svg"


def complete(hosts: int, dimension: int) -> Case:
    """Everybody shares with everybody."""
    return Case(COMPLETE, hosts, dimension, hosts, n_min(hosts), {"share_threshold": n_min(hosts)})


def graph(hosts: int, dimension: int) -> Case:
    """The graph which a planner would choose, also where the roster is small enough for the complete one."""
    with patch.object(thresholds, "GRAPH_ABOVE", 0):
        found = thresholds.recommended.__wrapped__(hosts, n_min(hosts), colluders(hosts))
    names = ("neighbours", "share_threshold", "committee", "committee_threshold")
    fields = {name: getattr(found, name) for name in names}
    return Case(GRAPH, hosts, dimension, found.neighbours + 1, found.share_threshold, fields)


def same(hosts: int, dimension: int) -> Case:
    """Our protocol with the degree and threshold at which Flower is measured; ten hosts all share with all."""
    shares, threshold = _same_shape(hosts)
    fields = {"share_threshold": threshold}
    if hosts > shares:
        fields |= {"neighbours": shares - 1, "committee": 30, "committee_threshold": 10}
    return Case(SAME, hosts, dimension, shares, threshold, fields)


def flower(hosts: int, dimension: int) -> Case:
    """Flower's SecAgg+ with the same degree and threshold."""
    return Case(FLOWER, hosts, dimension, *_same_shape(hosts))


def _same_shape(hosts: int) -> tuple[int, int]:
    return (hosts, n_min(hosts)) if hosts < SAME_SHARES else (SAME_SHARES, SAME_THRESHOLD)


def n_min(hosts: int) -> int:
    """Fewest survivors: 85 % of the roster, rounded down."""
    return hosts * 85 // 100


def colluders(hosts: int) -> int:
    """Hosts in league with the server that the plan allows for: 2 %, at least one."""
    return max(1, hosts // 50)


def ours() -> Iterator[Case]:
    """All cases of our protocol."""
    for dimension in DIMENSIONS:
        for hosts in (10, 100):
            yield complete(hosts, dimension)
        for hosts in (100, 1000):
            yield graph(hosts, dimension)
    yield from (complete(30, 512), graph(300, 512))
    yield from (same(hosts, 512) for hosts in (100, 1000))


def theirs() -> Iterator[Case]:
    """All cases of Flower's."""
    for dimension in DIMENSIONS:
        yield from (flower(hosts, dimension) for hosts in (10, 100))
    yield flower(1000, 512)


def measure(case: Case) -> Measured:
    """Run one round of ours; the opened sum must be exact, or a `RuntimeError` tells."""
    directory, identities = make_roster(case.hosts)
    few = 1 if case.layout == SAME else colluders(case.hosts)
    fields = {**case.fields, "colluders": few}
    plan = make_plan(directory, n_min=n_min(case.hosts), dimension=case.dimension, **fields)
    hosts, stages = list(identities), Stages(case)
    gone = {hosts[place] for place in case.gone}
    values = np.arange(case.dimension, dtype=np.int64)
    start = time.process_time()
    sessions = {host: HostSession(plan, directory, host, key) for host, key in identities.items()}
    stages.hosts_s["keys"] = time.process_time() - start
    aggregator = Aggregator(plan, directory)
    _play(aggregator, sessions, values, gone, stages)
    start = time.process_time()
    opened = aggregator.open()
    opening_s = time.process_time() - start
    if not (opened == 2 * values * (case.hosts - len(gone))).all():
        raise RuntimeError(f"the sum is not exact: {case.name}")
    return Measured(stages, sum(stages.server_s.values()) + opening_s, opening_s)


def _play(
    aggregator: Aggregator,
    sessions: Mapping[str, HostSession],
    values: np.ndarray,
    gone: set[str],
    stages: Stages,
) -> None:
    """Ask every stage of every host; the gone ones answer keys and shares alone."""
    requests: Mapping[str, bytes] = dict.fromkeys(sessions, b"")
    for stage in aggregator.stages:
        begun, hosts_before = time.process_time(), stages.hosts_s.get(stage, 0.0)
        for host, request in requests.items():
            if stage in ("keys", "shares") or host not in gone:
                start = time.process_time()
                reply = answer(sessions[host], stage, request, (values, values))
                stages.add(stage, time.process_time() - start, len(reply), len(request))
                aggregator.accept(reply)
        if stage != "unmask":
            requests = aggregator.close_stage()
        hosts_s = stages.hosts_s[stage] - hosts_before
        stages.server_s[stage] = time.process_time() - begun - hosts_s


def rows_of(case: Case, measured: Measured) -> list[Row]:
    """The figures of one case, all named after it."""
    name = case.name
    rows = [
        Row(f"{name} · shares of a secret", case.shares, "shares", "threshold", case.threshold),
        Row(f"{name} · all hosts", measured.hosts_s, "CPU s"),
        Row(f"{name} · server", measured.server_s, "CPU s"),
        Row(f"{name} · sent by a host", measured.per_host("sent"), "B"),
        Row(f"{name} · received by a host", measured.per_host("received"), "B"),
    ]
    if measured.opening_s is not None:
        rows.append(Row(f"{name} · opening", measured.opening_s, "CPU s"))
    for stage, hosts_s in measured.stages.hosts_s.items():
        sent, received = measured.stages.sent[stage], measured.stages.received[stage]
        rows.append(Row(f"{name} · {stage} · all hosts", hosts_s, "CPU s"))
        if stage in measured.stages.server_s:
            rows.append(Row(f"{name} · {stage} · server", measured.stages.server_s[stage], "CPU s"))
        rows.append(Row(f"{name} · {stage} · sent", sum(sent) / len(sent), "B"))
        rows.append(Row(f"{name} · {stage} · received", sum(received) / len(received), "B"))
    return rows


def bars(rows: Sequence[Row]) -> list[Row]:
    """The figures which have a bar. Hosts work side by side, so two cores halve their time, but not the server's."""
    values = {row.name: row.value for row in rows}
    large, hundred = graph(1000, 512).name, complete(100, 512).name
    hosts_s, server_s = values[f"{large} · all hosts"], values[f"{large} · server"]
    round_ = "a round of 1,000 hosts, d = 512"
    return [
        Row(
            f"{round_}: hosts shared among two cores, then the server", hosts_s / 2 + server_s, "s", "bar", ROUND_BAR_S
        ),
        Row(f"{round_}: all CPU seconds, on however many cores", hosts_s + server_s, "CPU s"),
        Row(
            "contribution message, d = 512", values[f"{hundred} · contribution · sent"], "B", "bar", CONTRIBUTION_BAR_B
        ),
    ]


def estimates() -> list[Row]:
    """What Flower would take where it was not run: the sharing alone, timed at one host, times all hosts."""
    rows = []
    for case in (complete(100, 512), graph(1000, 512)):
        one_s = secaggplus.sharing_of_one_host_s(case.shares, case.threshold)
        name = f"{FLOWER}, {case.hosts:,} hosts, {case.shares} shares · not run, sharing alone by one host's time"
        rows.append(Row(name, one_s * case.hosts, "CPU s"))
    return rows


def _figures(case: Case) -> list[Row]:
    return rows_of(case, secaggplus.measure(case) if case.layout == FLOWER else measure(case))


def run() -> list[Row]:
    """Measure all cases, two at a time, the long ones first; draw the growth in n and return the rows."""
    cases = sorted([*ours(), *theirs()], key=lambda case: -case.hosts * case.shares)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    figures: dict[str, list[Row]] = {}
    with Progress(*columns) as progress, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        task = progress.add_task("secure aggregation", total=len(cases))
        running = {pool.submit(_figures, case): case.name for case in cases}
        for done in as_completed(running):
            figures[running[done]] = done.result()
            progress.update(task, advance=1, description=f"last: {running[done]}")
    rows = [row for case in cases for row in figures[case.name]]
    rows = [*bars(rows), *estimates(), *rows]
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture([row.as_dict() for row in rows]), encoding="utf-8")
    return rows
