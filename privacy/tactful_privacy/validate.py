"""One helper per kind of bound; the keyword is the name that the error message shows."""

import math

from tactful_privacy.errors import InvalidInput


def positive(**values: float) -> None:
    """Raise `InvalidInput` unless every value is finite and above zero."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InvalidInput(f"must be a finite number above 0, not {value!r}", field=name, remedy=f"give {name} > 0")


def at_least(minimum: float, **values: float) -> None:
    """Raise `InvalidInput` unless every value is at least ``minimum``."""
    for name, value in values.items():
        if not value >= minimum:
            raise InvalidInput(f"must be at least {minimum}, not {value!r}", field=name, remedy=f"raise {name}")


def fraction(**values: float) -> None:
    """Raise `InvalidInput` unless every value lies strictly between 0 and 1."""
    for name, value in values.items():
        if not 0 < value < 1:
            raise InvalidInput(f"must lie between 0 and 1, not {value!r}", field=name, remedy=f"give 0 < {name} < 1")
