"""The count of looks at the test month: each evaluation on December is written down, by whom it may concern.

A benchmark that is looked at often enough is tuned on its test set, whatever the intention. The file is append-only
JSON lines, and the count stands beside the results.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tactful_lab.errors import ResultsInvalid


@dataclass(frozen=True, slots=True)
class Looks:
    """A file of looks at the test month; ``commit`` is of the code that looked.

    ``path`` None means that no choice hangs on the look and none is recorded, as in a demonstration that a reader runs.
    """

    path: Path | None
    commit: str = "unknown"

    def record(self, what: str) -> int:
        """Append one look and return the count so far (0 if unrecorded)."""
        if self.path is None:
            return 0
        line = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": self.commit, "what": what}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        return self.count

    @property
    def count(self) -> int:
        """Looks written down so far; a line may stand for several (its ``count``)."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line]
            return sum(int(line.get("count", 1)) for line in lines)
        except (ValueError, AttributeError) as error:
            raise ResultsInvalid("a line is not JSON", field=str(self.path), remedy="restore it from git") from error
