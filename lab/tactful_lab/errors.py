"""The laboratory's errors.

::

    TactfulError
    └── LabError
        ├── DatasetMissing    the data package is not installed, or a file of it is not there
        ├── DatasetDamaged    the data are there and are not what the adapter was written for
        ├── SettingsInvalid   a settings file lacks a value or holds one that cannot be used
        └── ResultsInvalid    a benchmark result or a marker in a page is not in the agreed form
"""

from tactful_privacy.errors import TactfulError


class LabError(TactfulError):
    """Root of the laboratory's errors."""


class DatasetMissing(LabError):
    """The data package is not installed, or one of its files is missing."""


class DatasetDamaged(LabError):
    """The data do not have the columns, types or keys that the adapter was written for."""


class SettingsInvalid(LabError):
    """A settings file lacks a value, or holds one that cannot be used."""


class ResultsInvalid(LabError):
    """A benchmark result, or a marker in a page, is not in the agreed form."""
