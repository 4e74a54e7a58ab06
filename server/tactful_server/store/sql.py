"""The store on a database, through SQLAlchemy: SQLite by default (one file, WAL, power-loss durable)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from tactful_privacy.errors import InvalidInput
from tactful_privacy.wire import HostEntry
from tactful_server.errors import StoreConflict
from tactful_server.journal import Phase, RoundId, Transition
from tactful_server.records import ArtifactRecord, RoundRecord
from tactful_server.store.models import ArtifactRow, Base, FederationRow, HostRow, RoundRow, TransitionRow

T = TypeVar("T", bound=Base)


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _now_unix_s() -> int:
    return int(time.time())


class SqlStore:
    """A `Store` on any database which SQLAlchemy speaks to; open it with `SqlStore.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        Base.metadata.create_all(engine)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the store at a database URL, ``sqlite:///path`` for a file; makes the tables if they are absent.

        Raises:
            InvalidInput: no database can be opened there.
        """
        try:
            engine = create_engine(url)
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _configure_sqlite)
            return cls(engine)
        except (ArgumentError, NoSuchModuleError, OperationalError, ModuleNotFoundError) as error:
            reason = str(error).splitlines()[0]
            raise InvalidInput(reason, field="store", remedy="give a URL such as sqlite:///server.db") from error

    def add_federation(self, name: str) -> None:
        """Record a federation; a second time changes nothing."""
        with Session(self._engine) as session, session.begin():
            if session.get(FederationRow, name) is None:
                session.add(FederationRow(name=name, created_unix_s=_now_unix_s()))

    def federations(self) -> tuple[str, ...]:
        """Names, sorted."""
        with Session(self._engine) as session:
            return tuple(session.scalars(select(FederationRow.name).order_by(FederationRow.name)))

    def put_host(self, federation: str, entry: HostEntry) -> None:
        """Record an active host; raises `StoreConflict` when the name has another key or the key another name."""
        with Session(self._engine) as session, _conflicts("identity_key", "a host keeps its key"), session.begin():
            row = session.get(HostRow, (federation, entry.host_id))
            if row is None:
                row = HostRow(federation=federation, host_id=entry.host_id, identity_key=entry.identity_key)
                session.add(row)
            elif row.identity_key != entry.identity_key:
                remedy = "enrol the new key under a new host name"
                raise StoreConflict(f"{entry.host_id} has another key", field="identity_key", remedy=remedy)
            row.planned_devices, row.active = entry.planned_devices, True

    def remove_host(self, federation: str, host_id: str) -> None:
        """Mark a host as gone; an unknown one is gone already."""
        with Session(self._engine) as session, session.begin():
            row = session.get(HostRow, (federation, host_id))
            if row is not None:
                row.active = False

    def hosts(self, federation: str) -> tuple[HostEntry, ...]:
        """Active hosts, sorted by name."""
        wanted = select(HostRow).where(HostRow.federation == federation, HostRow.active).order_by(HostRow.host_id)
        with Session(self._engine) as session:
            rows = session.scalars(wanted).all()
        return tuple(HostEntry(row.host_id, row.identity_key, row.planned_devices) for row in rows)

    def append(self, transition: Transition) -> None:
        """Journal a transition together with the phase of its round; raises `StoreConflict` out of sequence."""
        key = (transition.round_id.federation, transition.round_id.round_number, transition.round_id.attempt)
        with Session(self._engine) as session, _conflicts("sequence", "resume the round"), session.begin():
            held = session.get(TransitionRow, (*key, transition.sequence))
            if held is not None:
                _require_same(_transition(held), transition, "transition")
                return
            count = session.scalar(select(func.count()).select_from(TransitionRow).where(*_of(TransitionRow, key)))
            if count != transition.sequence:
                raise StoreConflict(f"{transition.sequence} is not next", field="sequence", remedy="resume the round")
            session.merge(RoundRow(**_named(key), phase=transition.phase.value, changed_unix_s=_now_unix_s()))
            session.add(_row(key, transition))

    def transitions(self, round_id: RoundId) -> tuple[Transition, ...]:
        """All transitions of a round in order."""
        key = (round_id.federation, round_id.round_number, round_id.attempt)
        wanted = select(TransitionRow).where(*_of(TransitionRow, key)).order_by(TransitionRow.sequence)
        with Session(self._engine) as session:
            return tuple(map(_transition, session.scalars(wanted)))

    def rounds(self, federation: str | None = None) -> tuple[RoundRecord, ...]:
        """All rounds in order."""
        wanted = select(RoundRow).order_by(RoundRow.federation, RoundRow.round_number, RoundRow.attempt)
        if federation is not None:
            wanted = wanted.where(RoundRow.federation == federation)
        with Session(self._engine) as session:
            return tuple(
                RoundRecord(RoundId(row.federation, row.round_number, row.attempt), row.phase, row.changed_unix_s)
                for row in session.scalars(wanted)
            )

    def add_artifact(self, record: ArtifactRecord) -> None:
        """Index a model file; raises `StoreConflict` when this version or digest is another file."""
        remedy = "publish under the next version"
        with Session(self._engine) as session, _conflicts("version", remedy), session.begin():
            held = session.get(ArtifactRow, record.digest)
            if held is not None:
                _require_same(_artifact(held), record, "artifact")
                return
            session.add(ArtifactRow(**{name: getattr(record, name) for name in record.__slots__}))

    def artifacts(self, name: str | None = None) -> tuple[ArtifactRecord, ...]:
        """The index by name and version."""
        wanted = select(ArtifactRow).order_by(ArtifactRow.name, ArtifactRow.version)
        if name is not None:
            wanted = wanted.where(ArtifactRow.name == name)
        with Session(self._engine) as session:
            return tuple(map(_artifact, session.scalars(wanted)))

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


@contextmanager
def _conflicts(field: str, remedy: str) -> Iterator[None]:
    """Turn a violated constraint into a `StoreConflict`."""
    try:
        yield
    except IntegrityError as error:
        raise StoreConflict(str(error.orig), field=field, remedy=remedy) from error


def _require_same(held: object, given: object, field: str) -> None:
    if held != given:
        raise StoreConflict("exists with other content", field=field, remedy="records are never rewritten")


def _named(key: tuple[str, int, int]) -> dict[str, Any]:
    return dict(zip(("federation", "round_number", "attempt"), key, strict=True))


def _of(table: type[TransitionRow], key: tuple[str, int, int]) -> list[Any]:
    return [getattr(table, name) == value for name, value in _named(key).items()]


def _row(key: tuple[str, int, int], transition: Transition) -> TransitionRow:
    return TransitionRow(
        **_named(key),
        sequence=transition.sequence,
        phase=transition.phase.value,
        replies=[[host, payload.hex()] for host, payload in transition.replies],
        facts={name: value.hex() for name, value in transition.facts.items()},
    )


def _transition(row: TransitionRow) -> Transition:
    return Transition(
        round_id=RoundId(row.federation, row.round_number, row.attempt),
        sequence=row.sequence,
        phase=Phase(row.phase),
        replies=tuple((host, bytes.fromhex(payload)) for host, payload in row.replies),
        facts={name: bytes.fromhex(value) for name, value in row.facts.items()},
    )


def _artifact(row: ArtifactRow) -> ArtifactRecord:
    return ArtifactRecord(
        digest=row.digest,
        name=row.name,
        version=row.version,
        parent=row.parent,
        round_number=row.round_number,
        file_name=row.file_name,
        file_sha256=row.file_sha256,
    )
