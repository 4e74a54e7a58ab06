"""A whole federation in one process: store, registry, ledger, ServerApp, grid and the hosts' ClientApps."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tactful_privacy.ledger import Ledger
from tactful_privacy.wire import Artifact, HostEntry, KeyDirectory, Signed
from tactful_server.aggregation import ServerOptimiser
from tactful_server.federation._flwr import ClientApp, Context, RecordDict
from tactful_server.federation.inprocess import RUN_ID, SERVER_NODE_ID, Faults, InProcessGrid, no_faults
from tactful_server.federation.server_app import ROUNDS_KEY, server_app
from tactful_server.federation.strategy import RoundResult, SecureRounds
from tactful_server.plans import RoundTerms
from tactful_server.registry import Registry
from tactful_server.service import ModelSpec, Office, signing_key
from tactful_server.store import SqlStore

_LOG = logging.getLogger(__name__)


class Federation:
    """Open it, enrol hosts, hand their ClientApps to `run`.

    ::

        with Federation.open(path, "shop", terms=terms, model=spec, optimiser=FedAvg()) as federation:
            federation.enrol(signed_entry)            # once per host
            for result in federation.run(apps, rounds=3):
                print(result.outcome, result.survivors)

    Attributes:
        office: the books behind it.
    """

    def __init__(self, office: Office) -> None:
        self.office = office
        self._results: list[RoundResult] = []

    @classmethod
    def open(
        cls, root: str | Path, name: str, *, terms: RoundTerms, model: ModelSpec, optimiser: ServerOptimiser
    ) -> Self:
        """Open or make the federation in a directory: ``server.db``, ``ledger.jsonl``, ``models/``, ``server.key``.

        Raises:
            InvalidInput: the key is gone from a federation that exists, or the directory cannot hold a store.
        """
        home = Path(root)
        home.mkdir(parents=True, exist_ok=True)
        key = signing_key(home / "server.key", make=not (home / "server.db").exists())
        store = SqlStore.open(f"sqlite:///{home / 'server.db'}")
        registry = Registry(home / "models", store, key.public_key().public_bytes_raw())
        return cls(Office(name, store, registry, Ledger(home / "ledger.jsonl"), key, terms, model, optimiser))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the store."""
        self.office.store.close()

    @property
    def server_key(self) -> bytes:
        """What hosts pin, 32 bytes."""
        return self.office.server_key

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.office.ledger.path

    @property
    def directory(self) -> KeyDirectory:
        """The roster."""
        return self.office.enrolment.directory()

    def enrol(self, signed_entry: Signed | bytes) -> HostEntry:
        """Take a host in; see `Office.enrol`."""
        return self.office.enrol(signed_entry)

    def signed_model(self) -> bytes:
        """The newest model as hosts install it: the encoded `Signed` artifact, verified."""
        return self.office.registry.signed(self.office.current().digest)

    def model(self) -> Artifact:
        """The newest model, verified."""
        return self.office.registry.load(self.office.current().digest)

    def run(
        self, apps: Mapping[str, ClientApp], *, rounds: int, faults: Faults = no_faults, tries: int = 1
    ) -> Iterator[RoundResult]:
        """Run rounds over an in-process grid; yields each result as soon as its round is over.

        Each round is one run of the ServerApp. A round left open by a killed process is ended first and counts. If the
        noise must drown what there is to learn, a warning is logged before the first round.

        Args:
            apps: one ClientApp per host that can be reached now.
            rounds: how many.
            faults: drop-outs and other weather, per host, round and stage.
            tries: how often a silent host is asked in one stage.
        """
        outlook = self.office.outlook(self.directory)
        if not outlook.can_learn:
            _LOG.warning("%s", outlook.sentence)
        grid = InProcessGrid(apps, faults)
        strategy = SecureRounds(self.office, tries=tries)
        app = server_app(lambda _context: strategy, self._results.append)
        context = Context(RUN_ID, SERVER_NODE_ID, {}, RecordDict(), {ROUNDS_KEY: 1})
        for _ in range(rounds):
            app(grid, context)
            yield self._results.pop()
