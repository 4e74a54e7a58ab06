"""The contact benchmark's choices, read from the committed ``settings.toml``, which says what each means."""

import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from tactful_lab.errors import SettingsInvalid
from tactful_privacy.validate import at_least, fraction, positive


@dataclass(frozen=True, slots=True)
class Rates:
    """Contacts of the global rate that are added to each campaign type's, and to each household's."""

    campaign_type_strength: float
    household_strength: float

    def __post_init__(self) -> None:
        positive(campaign_type_strength=self.campaign_type_strength, household_strength=self.household_strength)


@dataclass(frozen=True, slots=True)
class Central:
    """Penalty of the pooled logistic: ½·penalty·‖θ‖² beside the summed log-loss."""

    penalty: float

    def __post_init__(self) -> None:
        positive(penalty=self.penalty)


@dataclass(frozen=True, slots=True)
class FederationSetting:
    """Who takes part, for which δ, and from which public rate the model starts."""

    delta: float
    hosts: int
    n_min: int
    colluders: int
    prior_rate: float

    def __post_init__(self) -> None:
        fraction(delta=self.delta, prior_rate=self.prior_rate)
        at_least(1, hosts=self.hosts, n_min=self.n_min)


@dataclass(frozen=True, slots=True)
class NewtonSetting:
    """Rounds, clip norm and step of the private Newton optimiser; see `tactful_server.newton`."""

    rounds: int
    curvature_rounds: int
    clip_norm: float
    curvature_scale: float
    decay: float
    ridge_factor: float
    ridge_floor: float

    def __post_init__(self) -> None:
        at_least(self.curvature_rounds + 1, rounds=self.rounds)
        positive(clip_norm=self.clip_norm)


@dataclass(frozen=True, slots=True)
class FedAvgSetting:
    """Rounds, clip norm, local full-batch steps on a household's mean log-loss, and the server's step."""

    rounds: int
    clip_norm: float
    local_steps: int
    local_rate: float
    server_rate: float
    momentum: float

    def __post_init__(self) -> None:
        at_least(1, rounds=self.rounds, local_steps=self.local_steps)
        positive(clip_norm=self.clip_norm, local_rate=self.local_rate)


@dataclass(frozen=True, slots=True)
class ContactSettings:
    """All sections of the file."""

    rates: Rates
    central: Central
    federation: FederationSetting
    newton: NewtonSetting
    fedavg: FedAvgSetting
    fedavg_tuned: FedAvgSetting


_Section = TypeVar("_Section")


def _section(table: dict[str, Any], name: str, kind: type[_Section]) -> _Section:
    given = table.get(name, {})
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(given, dict) or set(given) != wanted:
        missing = sorted(wanted.symmetric_difference(given))
        raise SettingsInvalid(f"{missing} missing or unknown", field=name, remedy="name exactly its values")
    return kind(**given)


def load(path: Path | None = None) -> ContactSettings:
    """Read a settings file, by default the committed one.

    Raises:
        SettingsInvalid: The file is not TOML, or a value is missing or unknown.
        InvalidInput: A value is out of range.
    """
    text = (path or resources.files("tactful_lab.contacts") / "settings.toml").read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"not TOML: {error}", field=str(path), remedy="mend the line it names") from error
    return ContactSettings(
        rates=_section(table, "rates", Rates),
        central=_section(table, "central", Central),
        federation=_section(table, "federation", FederationSetting),
        newton=_section(table, "newton", NewtonSetting),
        fedavg=_section(table, "fedavg", FedAvgSetting),
        fedavg_tuned=_section(table, "fedavg_tuned", FedAvgSetting),
    )
