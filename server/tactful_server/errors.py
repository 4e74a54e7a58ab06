"""The errors of the server; all hang from `tactful_privacy.errors.TactfulError`.

::

    TactfulError
    └── ServerError
        ├── ArtifactTampered     a model file is not what was published
        ├── UnknownArtifact      no model of that name, version or digest
        ├── EnrolmentRefused     a host's entry contradicts the roster
        ├── JournalDamaged       the journal of a round does not replay
        ├── ModeSwitched         another mode of privacy than the rounds before, without saying so
        ├── OutOfPhase           the round is over, or asked for something that its phase does not have
        └── StoreConflict        a record exists already with other content
"""

from tactful_privacy.errors import TactfulError


class ServerError(TactfulError):
    """Root of the server's own errors."""


class ArtifactTampered(ServerError):
    """A model file, its signature and the index do not agree."""


class UnknownArtifact(ServerError):
    """The registry has no model of that name, version or digest."""


class EnrolmentRefused(ServerError):
    """A host's entry is not signed by its own key or contradicts the roster."""


class JournalDamaged(ServerError):
    """The transitions of a round are incomplete, reordered or do not replay."""


class ModeSwitched(ServerError):
    """The next round would be in another mode of privacy than the last one, and nobody said that it should be."""


class OutOfPhase(ServerError):
    """The round's phase does not have what was asked for."""


class StoreConflict(ServerError):
    """A record with this key exists already and says something else."""
