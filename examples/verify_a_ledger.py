"""The ledger: write three entries, verify them, then change, remove and cut off lines, and watch it being noticed."""

import tempfile
from fractions import Fraction
from pathlib import Path

from tactful_privacy.errors import LedgerBroken
from tactful_privacy.ledger import Ledger, verify


def caught(path: Path, head: bytes | None = None) -> str:
    """The reason for which the file does not verify."""
    try:
        verify(path, head)
    except LedgerBroken as error:
        return str(error)
    raise AssertionError("the ledger verified although it was bent")


def main() -> None:
    """Bend a ledger in three ways."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        ledger = Ledger(path)
        ledger.append("genesis", {"federation": "shop"})
        for number in (1, 2):
            ledger.append("release", {"round": number, "rho": Fraction(1, 400)})
        head = ledger.head
        report = verify(path, head)
        assert report.entries == 3
        print(f"verified {report.entries} entries, head {report.head.hex()[:16]}…")

        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines).replace("1/400", "1/900"), encoding="utf-8")
        print("a cheaper price:", caught(path))

        path.write_text(lines[0] + lines[2], encoding="utf-8")
        print("a line removed:", caught(path))

        path.write_text("".join(lines[:2]), encoding="utf-8")
        verify(path)  # a shorter chain is a good chain: only the remembered head tells
        print("the end cut off:", caught(path, head))


if __name__ == "__main__":
    main()
