"""The page on secure aggregation holds the thresholds that the code computes."""

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_graphs_is_that_of_the_code():
    """docs/secure-aggregation.md is what docs/secagg_tables.py writes, to the letter."""
    script = runpy.run_path(str(DOCS / "secagg_tables.py"))
    text = (DOCS / "secure-aggregation.md").read_text(encoding="utf-8")
    assert script["filled"](text) == text
