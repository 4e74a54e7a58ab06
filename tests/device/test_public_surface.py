"""The root of the SDK is its whole public API."""

from pathlib import Path

import pytest

import tactful
import tactful._api
from tactful import errors


# ruff's order of __all__: constants, classes, the rest
def _order(name):
    return (not name.isupper(), not name[0].isupper(), name)


def test_all_is_sorted_and_complete():
    """`__all__` is sorted, has no duplicates, and is exactly what the root knows how to load."""
    assert tactful.__all__ == sorted(set(tactful.__all__), key=_order)
    assert set(tactful._api.__all__) == set(tactful.__all__)
    assert dir(tactful) == sorted(tactful.__all__)


@pytest.mark.parametrize("name", tactful.__all__)
def test_every_name_can_be_had(name):
    """Each name loads, is documented, and is the one of its home."""
    value = getattr(tactful, name)
    assert value.__doc__
    assert getattr(tactful, name) is value


def test_the_errors_tree_is_drawn():
    """Every error of the SDK stands in the tree that its module's docstring draws, and hangs from the one root."""
    assert errors.__all__ == sorted(errors.__all__)
    for name in errors.__all__:
        assert name in errors.__doc__
        assert issubclass(getattr(errors, name), errors.TactfulError)


def test_unknown_names_are_attribute_errors():
    """A misspelt name fails as for any module."""
    with pytest.raises(AttributeError, match="Hosts"):
        _ = tactful.Hosts


def test_the_type_marker_is_there():
    """The package says that it carries types."""
    assert (Path(tactful.__file__).parent / "py.typed").is_file()
