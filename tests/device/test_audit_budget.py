"""``tactful audit budget``: every spend of a device with its price and ε so far; exit code 1 where it does not hold."""

import json
from fractions import Fraction

import pytest

from tactful.cli import main
from tactful_privacy.accounting.zcdp import epsilon

from .spend_world import plan, side_of
from .test_budget_rollback import answer, back_up, begun, put_back, release
from .vault_world import alter, open_host, person

PRICE = Fraction(1, 100)


@pytest.fixture
def spent(tmp_path):
    """Two answered rounds and the ledger that knows of both."""
    folder = tmp_path / "host"
    folder.mkdir()
    with open_host(folder) as host:
        ledger = begun(tmp_path, host)
        person(host)
        for number in (1, 2):
            answer(side_of(host), number, ledger=ledger)
        host.vault.checkpoint()
    return folder, ledger


def run(capsys, folder, *more):
    code = main(["audit", "budget", "ada", "--vault", str(folder / "vaults.db"), *map(str, more)])
    out, err = capsys.readouterr()
    return code, out, err


def test_figures_as_json(spent, capsys):
    """One object with stable keys; ε rises spend by spend and ends at the total."""
    folder, ledger = spent
    code, out, err = run(capsys, folder, "--ledger", ledger.path, "--json")
    found = json.loads(out)
    assert (code, err, found["holds"], found["wrong"]) == (0, "", True, [])
    wanted = {"epsilon_spent", "epsilon_total", "epsilon_ceiling", "delta", "period", "share", "links", "renewals"}
    assert wanted <= set(found)
    assert [(row["round"], row["rho"], row["source"]) for row in found["spends"]] == [
        (1, "1/100", "round"),
        (2, "1/100", "round"),
    ]
    assert [row["epsilon_so_far"] for row in found["spends"]] == [epsilon(n * PRICE, 1e-6) for n in (1, 2)]
    assert found["ledger"]["rounds_answered"] == 2
    assert found["ledger"]["head"] == ledger.head.hex()


def test_a_table_for_people(spent, capsys):
    """The same as text: spends, period, total, verdict."""
    code, out, _ = run(capsys, spent[0])
    assert code == 0
    for words in ("Spends", "Period 1", "Over all periods", "nothing is missing"):
        assert words in out


def test_earlier_enrolments_renewals_and_links_are_told(spent, capsys):
    """What an erasure left, what a renewal began and what was given to another host stand in the account."""
    folder, _ = spent
    with open_host(folder) as host:
        host.find("ada").erase()
        device = person(host)
        device.renew_budget(3.0, 1e-6, policy_version="2026-11")
        device.link(Fraction(1, 4), bytes(32))
    code, out, _ = run(capsys, folder, "--json")
    found = json.loads(out)
    assert (code, found["inherited"]) == (0, {"rho": "1/50", "rounds": 2})
    assert (found["renewals"][0]["number"], found["links"][0]["share"], found["share"]) == (2, "1/4", "3/4")
    assert "given to" in run(capsys, folder)[1]


def test_a_missing_spend_is_found_against_the_ledger(spent, capsys):
    """A release with this host that the vault does not know: exit code 1, and the round is named."""
    folder, ledger = spent
    release(ledger, plan(3))
    code, out, _ = run(capsys, folder, "--ledger", ledger.path, "--json")
    assert (code, json.loads(out)["ledger"]["rounds_missing"]) == (1, [3])
    assert "unknown to the vault: [3]" in run(capsys, folder, "--ledger", ledger.path)[1].replace("\n", " ")


def test_a_roll_back_and_an_excess_do_not_hold(spent, capsys):
    """A frozen vault exits with 1; so does a device whose replayed spends exceed its ceiling."""
    folder, ledger = spent
    kept = back_up(folder)
    with open_host(folder) as host:
        host.find("ada").set_privacy_budget(0.5, 1e-6)
        answer(side_of(host), 3, ledger=ledger, price=Fraction(1, 1000))
    put_back(folder, kept)
    code, out, _ = run(capsys, folder, "--json")
    assert (code, json.loads(out)["frozen"]) == (1, True)
    with open_host(folder) as host:
        release(ledger, plan(4, Fraction(2)))
        host.replay_ledger(ledger.path)
    code, out, _ = run(capsys, folder, "--ledger", ledger.path, "--json")
    found = json.loads(out)
    assert (code, found["frozen"], found["replayed"]) == (1, False, 2)
    assert "above the ceiling" in found["wrong"][0]


def test_damage_and_wrong_use(spent, capsys, tmp_path):
    """An altered spend and an edited ledger exit with 1; unknown people, vaults and ledgers with 2; one line each."""
    folder, ledger = spent
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"shop", b"shot"))
    cases = [
        (1, (folder, "--ledger", ledger.path)),
        (2, (tmp_path,)),
        (2, (folder, "--ledger", tmp_path / "none")),
        (2, (folder, "--keys", "file:none")),
    ]
    for wanted, arguments in cases:
        code, out, err = run(capsys, *arguments, "--json")
        assert (code, out, err.count("\n")) == (wanted, "", 1), arguments
    assert main(["audit", "budget", "nobody", "--vault", str(folder / "vaults.db")]) == 2
    capsys.readouterr()
    alter(folder, "UPDATE spends SET rho='1/1000' WHERE round=2")
    code, _, err = run(capsys, folder)
    assert (code, "not what was written" in err) == (1, True)


def test_a_name_that_the_ledger_does_not_know(spent, capsys):
    """A mistyped host name is said, instead of a ledger in which nothing is missing."""
    folder, ledger = spent
    code, _, err = run(capsys, folder, "--ledger", ledger.path, "--host-id", "nobody")
    assert code == 2
    assert "'nobody'" in err


def test_looking_makes_no_vault(tmp_path, capsys):
    """An empty file is no vault; it is left as it was, and no key is made beside it."""
    (tmp_path / "vaults.db").touch()
    code, _, err = run(capsys, tmp_path)
    assert code == 2
    assert "no vault" in err
    assert [path.name for path in tmp_path.iterdir()] == ["vaults.db"]
    assert (tmp_path / "vaults.db").stat().st_size == 0
