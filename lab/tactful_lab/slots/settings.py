"""The benchmark's choices, read from the committed ``settings.toml``."""

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from tactful_lab.errors import SettingsInvalid

Grid = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """Grids and tolerances; half-lives, rate strengths in days, share strength in baskets, penalties ½·penalty·‖θ‖²."""

    histogram_half_life_d: Grid
    histogram_strength_d: Grid
    day_rate_half_life_d: Grid
    day_rate_strength_d: Grid
    day_rate_share_strength: Grid
    local_penalty: Grid
    central_penalty: Grid
    central_tolerance: float
    central_max_iterations: int
    bootstrap_resamples: int
    bootstrap_seed: int


def _grid(table: dict[str, Any], section: str, key: str) -> Grid:
    values = _value(table, section, key)
    if not isinstance(values, list) or not values or not all(isinstance(v, float) and v > 0 for v in values):
        raise SettingsInvalid("must be a list of numbers above 0", field=f"{section}.{key}", remedy="e.g. [10.0, 30.0]")
    return tuple(values)


def _value(table: dict[str, Any], section: str, key: str) -> Any:
    try:
        return table[section][key]
    except KeyError as error:
        raise SettingsInvalid("is not set", field=f"{section}.{key}", remedy="add it to the settings file") from error


def load(path: Path | None = None) -> SlotSettings:
    """Read a settings file, by default the committed one.

    Raises:
        SettingsInvalid: The file is not TOML, or a value is missing or cannot be used.
    """
    text = (path or resources.files("tactful_lab.slots") / "settings.toml").read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"not TOML: {error}", field=str(path), remedy="mend the line it names") from error
    return SlotSettings(
        histogram_half_life_d=_grid(table, "histogram", "half_life_d"),
        histogram_strength_d=_grid(table, "histogram", "strength_d"),
        day_rate_half_life_d=_grid(table, "day_rate_times_share", "half_life_d"),
        day_rate_strength_d=_grid(table, "day_rate_times_share", "rate_strength_d"),
        day_rate_share_strength=_grid(table, "day_rate_times_share", "share_strength"),
        local_penalty=_grid(table, "local_logistic", "penalty"),
        central_penalty=_grid(table, "central_logistic", "penalty"),
        central_tolerance=float(_value(table, "central_logistic", "tolerance")),
        central_max_iterations=int(_value(table, "central_logistic", "max_iterations")),
        bootstrap_resamples=int(_value(table, "bootstrap", "resamples")),
        bootstrap_seed=int(_value(table, "bootstrap", "seed")),
    )
