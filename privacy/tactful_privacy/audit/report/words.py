"""The report's sentences in each language."""

import json
from importlib import resources
from typing import Any

LANGUAGES = {"en": "English", "zh": "中文"}


class Words:
    """A catalogue of sentences; ``words("key", name=value)`` fills one in."""

    def __init__(self, language: str) -> None:
        self.language = language
        text = (resources.files("tactful_privacy.audit.report") / f"{language}.json").read_text(encoding="utf-8")
        self._said: dict[str, Any] = json.loads(text)

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence with its values."""
        return str(self._said[key]).format(**values)

    def list(self, key: str) -> list[str]:
        """Return a list of sentences."""
        return [str(line) for line in self._said[key]]

    def name(self, text: str) -> str:
        """Return a name that a command printed in the reader's language, or as it stands."""
        return str(self._said["names"].get(text, text))

    def reveals(self, field: str, text: str) -> str:
        """Return what a field could reveal, in the reader's language where it is known."""
        return str(self._said["reveals"].get(field, text))


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure as people write it; ∞ for one that is not finite."""
    return "∞" if value is None else f"{value:.{digits}g}"
