"""The tables of the store, typed. Digests and keys are raw bytes; times are seconds since 1970, UTC."""

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAME = String(128)


class Base(DeclarativeBase):
    """Root of the tables."""


class FederationRow(Base):
    """A federation."""

    __tablename__ = "federations"

    name: Mapped[str] = mapped_column(NAME, primary_key=True)
    created_unix_s: Mapped[int] = mapped_column(BigInteger)


class HostRow(Base):
    """An enrolled host; ``active`` is false once it left. A key is never handed to another host."""

    __tablename__ = "hosts"
    __table_args__ = (UniqueConstraint("federation", "identity_key"),)

    federation: Mapped[str] = mapped_column(ForeignKey("federations.name"), primary_key=True)
    host_id: Mapped[str] = mapped_column(NAME, primary_key=True)
    identity_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    planned_devices: Mapped[int] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(default=True)


class RoundRow(Base):
    """One attempt of a round and the phase it is in; the transitions say the rest."""

    __tablename__ = "rounds"

    federation: Mapped[str] = mapped_column(ForeignKey("federations.name"), primary_key=True)
    round_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    phase: Mapped[str] = mapped_column(String(16))
    changed_unix_s: Mapped[int] = mapped_column(BigInteger)


class TransitionRow(Base):
    """One step of a round, never changed. ``replies`` and ``facts`` hold bytes as hexadecimal text."""

    __tablename__ = "transitions"

    federation: Mapped[str] = mapped_column(ForeignKey("federations.name"), primary_key=True)
    round_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    phase: Mapped[str] = mapped_column(String(16))
    replies: Mapped[list[list[str]]] = mapped_column(JSON)
    facts: Mapped[dict[str, str]] = mapped_column(JSON)


class ArtifactRow(Base):
    """The index of the registry: which file is which version of which model, and what its bytes must hash to."""

    __tablename__ = "artifacts"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    name: Mapped[str] = mapped_column(NAME, index=True)
    version: Mapped[int] = mapped_column(BigInteger)
    parent: Mapped[bytes] = mapped_column(LargeBinary(32))
    round_number: Mapped[int] = mapped_column(BigInteger)
    file_name: Mapped[str] = mapped_column(String(255))
    file_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))

    __table_args__ = (UniqueConstraint("name", "version"),)
