"""The ablation's tables: a line for each variant, both ε side by side, from rows alone."""

import pytest


@pytest.fixture
def table(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath))
    from benchmarks import optimisers_table

    return optimisers_table.table


def test_a_line_for_each_variant_with_both_epsilons(table):
    """Loss, deviation, gap, rounds, ρ and ε of one variant stand in one line, in the order of the rows."""
    rows = [
        {"name": "slots: centralised, no noise · test log-loss", "value": 0.09},
        {"name": "slots: households", "value": 1000},
    ]
    for epsilon, loss in (("1", 0.0912), ("4", 0.0905)):
        figures = {"test log-loss": loss, "deviation": 0.0002, "gap": loss - 0.09, "chosen rounds": 30}
        figures |= {"ρ": 0.0244, "ε at δ = 1e-6": float(epsilon)}
        rows += [{"name": f"slots, ε = {epsilon}: some · {key}", "value": value} for key, value in figures.items()]
    lines = table(rows)
    assert len(lines) == 5
    first, second = "0.0912 ± 0.0002 | +12.0 | 30 | 0.0244 | 1.000", "0.0905 ± 0.0002 | +5.0 | 30 | 0.0244 | 4.000"
    assert lines[-1] == f"| some | {first} | {second} |"
