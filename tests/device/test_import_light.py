"""Importing the SDK, and deciding with it, loads nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("fastapi", "flwr", "httpx", "opacus", "pandas", "rich", "scipy", "sqlalchemy", "torch", "typer")
DECIDE = """
from tactful import Candidate, Host
with Host.open(":memory:", keys="env:TACTFUL_TEST_KEY", strict=True) as host:
    device = host.device("ada")
    device.set_consent("on_device_personalisation", granted=True, policy_version="1")
    device.track("browse", category="shoes")
    device.decide([Candidate(id="c1", category="shoes")]).text("zh")
"""


@pytest.mark.parametrize("program", ["import tactful", DECIDE], ids=["import", "decide"])
def test_nothing_heavy(program, monkeypatch):
    """Neither the import nor a whole decision loads torch, flwr, scipy or any of their kind."""
    monkeypatch.setenv("TACTFUL_TEST_KEY", "ab" * 32)
    watch = f"{program}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_root_loads_no_numpy():
    """The bare import is lazy: not even numpy is loaded."""
    watch = "import tactful, sys; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_auditors_commands_need_no_federation():
    """`tactful audit epsilon` and `ledger` run where flwr, sqlalchemy and pandas are not installed."""
    watch = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['flwr', 'sqlalchemy', 'pandas', 'torch', 'opacus']))\n"
        "from tactful.cli import main\n"
        "sys.exit(main(['audit', 'epsilon', '--noise-multiplier', '5', '--rounds', '10', '--delta', '1e-6', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('{"epsilon"')
