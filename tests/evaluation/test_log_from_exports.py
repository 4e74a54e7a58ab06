"""Exports of devices become a push log and a mapping that `evaluate` reads; what is no export is refused."""

import json
import warnings
from datetime import timedelta

import pandas as pd
from tests.device.vault_world import NOON, open_host, person

from tactful import Candidate, PolicySettings
from tactful.testing import FrozenClock
from tactful_lab.evaluation.log import read_log
from tactful_lab.evaluation.mapping import read_map

with warnings.catch_warnings():
    # typer's own import of a name that click has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from tactful_lab.cli import app


def exports(folder, days=12):
    """Two devices that decide by a coin once a day; what is opened is opened at once."""
    clock, paths, opened = FrozenClock(NOON), [], set()
    settings = PolicySettings(never_push_fraction=0, micro_randomised_fraction=1.0)
    with open_host(folder, clock=clock, settings=settings) as host:
        people = [person(host, name) for name in ("ada", "ben")]
        for day in range(days):
            now = NOON + timedelta(days=day)
            clock.set(now)
            for number, device in enumerate(people):
                offer = Candidate(id=f"c{day}", category=f"k{day % 5}", value_minor=2_000)
                decision = device.decide([offer], now=now)
                if decision.action == "send" and (day + number) % 2:
                    device.record_outcome(decision.id, "opened")
                    opened.add(decision.id)
        for device in people:
            paths.append(folder / f"{device.user_id}.json")
            paths[-1].write_text(json.dumps(device.export()))
    return paths, opened


def test_exports_become_a_log_that_is_read_without_a_problem(tmp_path):
    """Each decision once, with the propensity, the rule and the opens that the device logged."""
    paths, opened = exports(tmp_path)
    out = tmp_path / "made" / "log.csv"
    result = CliRunner().invoke(app, ["export-log", *map(str, paths), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "in the clear" in result.stdout
    frame = pd.read_csv(out)
    told = [each for path in paths for each in json.loads(path.read_text())["decisions"]]
    assert list(frame["decision"]) == [each["id"] for each in told]
    assert set(frame.loc[frame["opened"] == 1, "decision"]) == opened != set()
    loaded = read_log(out, read_map(tmp_path / "made" / "log.map.yaml"))
    assert loaded.problems == ()
    assert list(loaded.log.send_propensity) == [each["send_probability"] for each in told]
    assert list(loaded.log.randomised) == [each["evaluable"] for each in told]
    assert loaded.log.randomised.any()


def test_what_is_no_export_is_refused(tmp_path):
    """No JSON, another format, a part cut out: exit code 2, one line with the remedy."""
    paths, _ = exports(tmp_path, days=2)
    whole = json.loads(paths[0].read_text())
    torn = {name: value for name, value in whole.items() if name != "pushes"}
    for text in ("{", "[]", json.dumps({**whole, "format": "x"}), json.dumps(torn)):
        (tmp_path / "bad.json").write_text(text)
        result = CliRunner().invoke(app, ["export-log", str(tmp_path / "bad.json"), "-o", str(tmp_path / "log.csv")])
        assert result.exit_code == 2
        assert "Device.export()" in result.stderr
        assert result.stderr.count("\n") == 1
