"""Audit a federation that you need not trust: four questions, a command each, and one page for people.

A small federation of shops is run first, so that there is something to audit: five hosts with vaults, forty households,
three private rounds. Then only its files and the commands are used.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tactful_lab.audit.membership import taken
from tactful_lab.datasets import completejourney
from tactful_lab.slots import learning
from tactful_lab.slots.federation import Setting, ShopFederation, user_id

TACTFUL = Path(sys.executable).with_name("tactful")


def audit(*arguments: object) -> dict[str, Any]:
    """Run `tactful audit … --json`; exit code 1 would mean that what was checked does not hold."""
    command = [str(TACTFUL), "audit", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run_a_federation(root: Path) -> str:
    """Three rounds over forty households; return the name of one person on host-1."""
    baskets = taken(completejourney.load()[0], np.arange(40))
    setting = Setting(epsilon=4.0, rounds=3)
    with ShopFederation.build(root, baskets, setting, learning.load()) as federation:
        outcomes = [result.outcome for result in federation.run({})]
        assert outcomes == ["released"] * 3
        return user_id(baskets, int(federation.hosts["host-1"].households[0]))


def main() -> None:
    """Ask the four questions, then make the page."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        person = run_a_federation(root)
        vault, ledger = root / "host-1" / "vault.db", root / "server" / "ledger.jsonl"

        wire = audit("wire", "--vault", vault, "--user", person)
        print(f"what leaves: {wire['bytes_total']} bytes in {len(wire['messages'])} messages")
        assert wire["sizes_independent_of_data"]

        budget = audit("budget", person, "--vault", vault, "--ledger", ledger)
        print(f"what it cost {person}: ε = {budget['epsilon_spent']:.2f} of {budget['epsilon_ceiling']:g}")

        run = audit("run", "--canaries", 400, "--rounds", 4, "--out", root / "run.json")
        print(f"what an attack proves: μ ≥ {run['f_dp_mu']:.2f}; the claim allows {run['theory_mu']:.2f}")
        assert run["holds"]

        history = audit("ledger", ledger)
        print(f"the history: {history['entries']} entries, verified: {history['verified']}")

        files = ("--run", root / "run.json", "--ledger", ledger)
        page = audit("report", "--out", root / "report.html", *files, "--only-given")
        assert page["holds"]
        assert "不受保护的内容" in (root / "report.html").read_text(encoding="utf-8")
        print("one page:", ", ".join(page["checked"]))


if __name__ == "__main__":
    main()
