"""One case of the benchmark of secure aggregation, and the figures of one round."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """A round to measure: hosts, coordinates, and who shares with how many.

    Attributes:
        layout: the scheme, as the tables name it.
        hosts: on the roster; one in ten falls silent before its contribution.
        dimension: coordinates.
        shares: of one secret, the host's own among them.
        threshold: shares that rebuild it.
        fields: of our plan; empty for Flower.
    """

    layout: str
    hosts: int
    dimension: int
    shares: int
    threshold: int
    fields: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the rows begin."""
        return f"{self.layout}, {self.hosts:,} hosts, d = {self.dimension}"

    @property
    def gone(self) -> range:
        """Places of the hosts that fall silent: one in ten, spread over the roster."""
        return range(5, self.hosts, 10)


class Stages:
    """CPU seconds of all hosts, and bytes, by stage."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.hosts_s: dict[str, float] = {}
        self.server_s: dict[str, float] = {}
        self.sent: dict[str, list[int]] = {}
        self.received: dict[str, list[int]] = {}

    def add(self, stage: str, took_s: float, sent: int, received: int) -> None:
        """Enter one host's answer."""
        self.hosts_s[stage] = self.hosts_s.get(stage, 0.0) + took_s
        self.sent.setdefault(stage, []).append(sent)
        self.received.setdefault(stage, []).append(received)


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one round.

    Attributes:
        stages: of the hosts, and of the server where it can be told apart.
        server_s: CPU seconds of the server over the whole round.
        opening_s: of them, the rebuilding of secrets and taking off of masks; None where it is not told apart.
    """

    stages: Stages
    server_s: float
    opening_s: float | None = None

    @property
    def hosts_s(self) -> float:
        """CPU seconds of all hosts together."""
        return sum(self.stages.hosts_s.values())

    def per_host(self, kind: str) -> float:
        """Mean bytes that a host which answers all stages sends or receives: ``sent`` or ``received``."""
        by_stage: dict[str, list[int]] = getattr(self.stages, kind)
        return sum(sum(sizes) / len(sizes) for sizes in by_stage.values())
