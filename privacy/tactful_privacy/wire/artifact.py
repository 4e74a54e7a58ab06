"""A released model: its parameters, and the card that says where they come from and what they cost."""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar

from tactful_privacy.wire.codec import Many, Maybe, Pair, Rational, Text
from tactful_privacy.wire.digests import digest
from tactful_privacy.wire.errors import WrongShape
from tactful_privacy.wire.fields import (
    MAX_BLOCKS,
    MAX_DIMENSION,
    NAME,
    PROSE_BYTES,
    U32,
    Digest,
    Name,
    Price,
    Settings,
    first,
)
from tactful_privacy.wire.kinds import Kind
from tactful_privacy.wire.message import Message, Nested
from tactful_privacy.wire.plan import Layout, layout_length
from tactful_privacy.wire.vectors import Dtype, Vector, unpack_f64

MaybePrice = Annotated[Fraction | None, Maybe(Rational(signed=False))]
Features = Annotated[tuple[tuple[str, str], ...], Many(Pair(NAME, NAME), MAX_BLOCKS, key=first, ordered=False)]
Facts = Annotated[tuple[tuple[str, str], ...], Many(Pair(NAME, Text(PROSE_BYTES, at_least=0)), MAX_BLOCKS, key=first)]


@dataclass(frozen=True, slots=True)
class ArtifactCard(Message):
    """What a model file says about itself.

    Attributes:
        name: name of the model.
        version: counts up within the name.
        federation: federation that trained it.
        round_number: round that released it, 0 for a prior.
        layout: the parameter blocks in order.
        features: (name, unit) of each model input in order.
        epsilon: central ε at ``delta`` spent by one device so far; None where no finite ε holds.
        delta: δ at which ``epsilon`` holds.
        rho: zCDP spent by one device so far; None where no finite ρ holds.
        ledger_head: head of the ledger at the release.
        parent: digest of the artifact it was trained from, zeros for none.
        evaluation: measured figures, sorted by name.
        training: facts about the run, sorted by name.
    """

    KIND: ClassVar[Kind] = Kind.ARTIFACT_CARD

    name: Name
    version: U32
    federation: Name
    round_number: U32
    layout: Layout
    features: Features
    epsilon: MaybePrice
    delta: Price
    rho: MaybePrice
    ledger_head: Digest
    parent: Digest
    evaluation: Settings
    training: Facts


@dataclass(frozen=True, slots=True)
class Artifact(Message):
    """A card and its finite float64 parameters, packed little-endian (`pack_f64`); signed by the registry key."""

    KIND: ClassVar[Kind] = Kind.ARTIFACT
    MAX_BYTES: ClassVar[int] = 8 * MAX_DIMENSION + (1 << 20)

    card: Annotated[ArtifactCard, Nested(ArtifactCard)]
    parameters: Annotated[bytes, Vector(Dtype.F64, MAX_DIMENSION)]

    def _check_together(self) -> None:
        count, wanted = len(self.parameters) // Dtype.F64.item_bytes, layout_length(self.card.layout)
        if count != wanted:
            raise WrongShape(
                f"{count} parameters, the card's layout has {wanted}",
                field="Artifact.parameters",
                remedy="send the model that the card describes",
            )

    @property
    def digest(self) -> bytes:
        """SHA-256 name of these exact parameters and this card."""
        return digest(self)

    def values(self) -> "array[float]":
        """The parameters in layout order."""
        return unpack_f64(self.parameters)
