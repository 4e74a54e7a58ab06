"""The worlds' numbers, read from the committed ``parameters.toml`` and checked; their anchors stand there."""

import hashlib
import math
import tomllib
import typing
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from tactful_lab.datasets.completejourney import N_SLOTS
from tactful_lab.errors import SettingsInvalid

Numbers = tuple[float, ...]
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class Seeds:
    """First seed of each range, and how many each range holds."""

    tuning_first: int
    reporting_first: int
    range_length: int


@dataclass(frozen=True, slots=True)
class Habits:
    """Gamma law of day rates (baskets per day) and Dirichlet law of slot shares, fitted to households."""

    baskets_per_day: float
    rate_shape: float
    slot_concentration: float
    slot_share: Numbers
    weekday_factor: Numbers


@dataclass(frozen=True, slots=True)
class Organic:
    """Sessions without a push, and what they are worth."""

    sessions_per_basket: float
    conversion: float
    margin_minor: float
    margin_log_sd: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Who can be reached: permission, and devices that are off-line."""

    opt_in: float
    to_offline: float
    to_online: float
    ttl_slots: int


@dataclass(frozen=True, slots=True)
class Opening:
    """Chance, delay and displacement of opens."""

    base: float
    base_log_sd: float
    activity_power: float
    slot_power: float
    contextual_factor: float
    promotion_factor: float
    maximum: float
    contextual_recent: float
    contextual_otherwise: float
    recent_slots: int
    cannibalised: float
    delay_median_h: float
    delay_shape: float


@dataclass(frozen=True, slots=True)
class Fatigue:
    """How opening falls with the pushes received, and how a person recovers."""

    half_life_d: float
    half_life_log_sd: float
    half_dose: float
    half_dose_log_sd: float
    power: float


@dataclass(frozen=True, slots=True)
class OptOut:
    """Hazard of one delivered push, and what losing the permission costs."""

    hazard: float
    hazard_sweep: Numbers
    person_log_sd: float
    dosage_half_life_d: float
    floor: float
    rise: float
    middle: float
    width: float
    contextual_factor: float
    cost_pushes: float
    push_open_rate: float


@dataclass(frozen=True, slots=True)
class Calendar:
    """Promotions of the shop."""

    promotion_every_d: int
    promotion_length_d: int
    promotion_offset_d: int
    organic_factor: float
    conversion_factor: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Chance per person and day of new habits."""

    per_day: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """Fatigue that is not felt up to a personal dose and strongly beyond it."""

    threshold: float
    threshold_log_sd: float
    beyond: float
    hazard_beyond: float


@dataclass(frozen=True, slots=True)
class Habituation:
    """Opens that make the next open likelier."""

    gain: float
    half_life_d: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers of one version; ``fingerprint`` is the SHA-256 of the file's text, for results to name."""

    version: int
    fingerprint: str
    seeds: Seeds
    habits: Habits
    organic: Organic
    reach: Reach
    opening: Opening
    fatigue: Fatigue
    opt_out: OptOut
    calendar: Calendar
    drift: Drift
    heavy_drift: Drift
    threshold: Threshold
    habituation: Habituation

    @property
    def session_minor(self) -> float:
        """Mean value of a session outside promotions, minor units."""
        return self.organic.conversion * self.organic.margin_minor

    @property
    def opt_out_cost_minor(self) -> float:
        """C_out, minor units."""
        return self.opt_out.cost_pushes * self.opt_out.push_open_rate * self.session_minor


_KINDS = {"heavy_drift": "heavy_drift", "threshold": "threshold_fatigue", "habituation": "positive_habituation"}


def load(path: Path | None = None) -> Parameters:
    """Read a parameter file, by default the committed one.

    Raises:
        SettingsInvalid: The file is not TOML, a number is missing, unknown or unusable, or the seed ranges meet.
    """
    text = (path or resources.files("tactful_lab.worlds") / "parameters.toml").read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"not TOML: {error}", field=str(path), remedy="mend the line it names") from error
    kinds = table.pop("kinds", {})
    table.update({name: kinds.get(section, {}) for name, section in _KINDS.items()})
    hints = typing.get_type_hints(Parameters)
    sections = {f.name: f.name for f in fields(Parameters) if f.name not in ("version", "fingerprint")}
    made = {name: _section(hints[name], table.get(name, {}), _KINDS.get(name, name)) for name in sections}
    _check(made["seeds"], made["habits"])
    version = _number(table.get("version"), "version", int)
    return Parameters(version=version, fingerprint=hashlib.sha256(text.encode()).hexdigest(), **made)


def _section(kind: type[Section], table: dict[str, Any], name: str) -> Section:
    hints = typing.get_type_hints(kind)
    if unknown := set(table) - set(hints):
        raise SettingsInvalid("is not known", field=f"{name}.{min(unknown)}", remedy="remove it")
    return kind(**{key: _number(table.get(key), f"{name}.{key}", hint) for key, hint in hints.items()})


def _number(value: Any, field: str, hint: Any) -> Any:
    """One number above 0 of the wanted type, or a list of such numbers."""
    if value is None:
        raise SettingsInvalid("is not set", field=field, remedy="add it to the parameter file")
    wanted = hint if hint in (int, float) else float
    values = value if hint == Numbers else [value]
    right = isinstance(values, list) and all(type(v) is wanted and math.isfinite(v) and v > 0 for v in values)
    if not right:
        raise SettingsInvalid(f"cannot be {value!r}", field=field, remedy=f"give numbers above 0 ({wanted.__name__})")
    return tuple(values) if hint == Numbers else value


def _check(seeds: Seeds, habits: Habits) -> None:
    if abs(seeds.tuning_first - seeds.reporting_first) < seeds.range_length:
        raise SettingsInvalid("the seed ranges meet", field="seeds", remedy="move reporting_first further away")
    if len(habits.slot_share) != N_SLOTS or abs(sum(habits.slot_share) - 1) > 1e-3:  # rounded to four digits
        raise SettingsInvalid("must be seven shares that sum to 1", field="habits.slot_share")
    if len(habits.weekday_factor) != 7:
        raise SettingsInvalid("must be seven factors", field="habits.weekday_factor")


def tuning_seeds(count: int, parameters: Parameters | None = None) -> range:
    """The first ``count`` seeds on which policies may be tuned; never to be reported from."""
    seeds = (parameters or load()).seeds
    return _seed_range(seeds.tuning_first, count, seeds.range_length)


def reporting_seeds(count: int, parameters: Parameters | None = None) -> range:
    """The first ``count`` seeds from which figures are reported; never to be tuned on."""
    seeds = (parameters or load()).seeds
    return _seed_range(seeds.reporting_first, count, seeds.range_length)


def _seed_range(first: int, count: int, length: int) -> range:
    if not 1 <= count <= length:
        raise SettingsInvalid(f"cannot be {count}", field="count", remedy=f"ask for 1 to {length} seeds")
    return range(first, first + count)
