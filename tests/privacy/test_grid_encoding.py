"""The grid: unbiased rounding that cannot exceed its bound, zero vectors for bad input, exact sums, and the modulus."""

import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tactful_privacy.errors import InvalidInput
from tactful_privacy.mechanisms.clip import clip
from tactful_privacy.mechanisms.entropy import EntropyFailure
from tactful_privacy.mechanisms.grid import MAX_UNITS, _round, _within, decode, encode_block, from_modulus, to_modulus

SIGMAS = 6.0  # two-sided false-alarm rate 2e-9 for each coordinate looked at
ANY_FLOAT = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e308, -1.7e308, 2.0**-30, 0.4, -0.4, math.nextafter(0.4, 1)]),
)
BLOCKS = st.tuples(st.integers(0, 5), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=ANY_FLOAT)
)


def exact_norm_squared(row):
    return sum(int(x) ** 2 for x in row)


@settings(max_examples=300, deadline=None)
@given(BLOCKS)
def test_clipping_never_exceeds_the_norm(rows):
    """Whatever the input (NaN, infinities, 1e308, subnormals), the exact norm of each clipped row is at most C."""
    clipped = clip(rows, 0.4)
    assert np.isfinite(clipped).all()
    for row in clipped:
        assert math.fsum(float(x) ** 2 for x in row) <= 0.4**2


def test_clipping_keeps_direction_and_short_rows():
    """A short row is untouched to the bit; a long one keeps its direction, also where its squares would overflow."""
    rows = np.array([[0.1, -0.2], [3e200, -4e200], [3e-200, 4e-200]])
    clipped = clip(rows, 0.4)
    np.testing.assert_array_equal(clipped[[0, 2]], rows[[0, 2]])
    np.testing.assert_allclose(clipped[1], [0.24, -0.32], rtol=1e-11)


@settings(max_examples=300, deadline=None)
@given(BLOCKS, st.integers(0, 30), st.integers(4, 10**6), st.integers(1, 10**6))
def test_no_outcome_exceeds_the_norm_bound(rows, grid_exponent, clip_units, half_range):
    """Finite rows are always accepted with sum(x^2) <= B^2 in exact integers; all others are zero and not accepted."""
    block = encode_block(
        rows,
        rows[:, :1],
        clip_units=clip_units,
        grid_exponent=grid_exponent,
        norm_bound_squared=clip_units**2 + half_range**2,
        half_ranges=(half_range,),
        keep_rows=True,
    )
    np.testing.assert_array_equal(block.accepted, np.isfinite(rows).all(axis=1))
    for row, accepted in zip(block.rows, block.accepted, strict=True):
        assert exact_norm_squared(row[:-1]) <= clip_units**2
        assert abs(int(row[-1])) <= half_range
        assert accepted or not row.any()
    assert block.total.tolist() == [sum(int(x) for x in column) for column in block.rows.T]


@pytest.mark.parametrize("offender", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["update", "statistic"])
def test_a_device_with_bad_values_contributes_zero_and_the_host_still_answers(offender, where):
    """NaN and infinities, in the update or the statistic, zero the whole vector of that device and no other's."""
    updates, statistics = np.full((3, 2), 0.25), np.full((3, 1), 0.5)
    (updates if where == "update" else statistics)[1, 0] = offender
    block = encode_block(
        updates, statistics, clip_units=64, grid_exponent=6, norm_bound_squared=64**2 + 32**2, half_ranges=(32,)
    )
    assert block.accepted.tolist() == [True, False, True]
    assert block.total.tolist() == [32, 32, 64]


def test_a_device_above_the_norm_bound_contributes_zero():
    """The integer check is made on the whole vector: with a bound that leaves no room for a statistic, it is
    refused.
    """
    updates, statistics = np.array([[0.5, 0.0], [0.5, 0.0]]), np.array([[0.0], [0.5]])
    block = encode_block(
        updates, statistics, clip_units=64, grid_exponent=6, norm_bound_squared=32**2, half_ranges=(32,), keep_rows=True
    )
    assert block.accepted.tolist() == [True, False]
    assert block.rows.tolist() == [[32, 0, 0], [0, 0, 0]]


def test_a_host_without_devices_answers_zero():
    """No device, or only idle ones: the sum is the zero vector of full length."""
    empty = encode_block(np.empty((0, 3)), clip_units=64, grid_exponent=6, norm_bound_squared=64**2)
    assert empty.total.tolist() == [0, 0, 0]
    assert empty.accepted.shape == (0,)
    idle = encode_block(np.zeros((4, 3)), clip_units=64, grid_exponent=6, norm_bound_squared=64**2)
    assert idle.total.tolist() == [0, 0, 0]
    assert idle.accepted.all()


def test_rounding_is_unbiased():
    """Each coordinate's mean over 200,000 roundings is the value within 6 standard errors, both signs, all sizes."""
    size = 200_000
    values = np.array([0.5, -0.5, 0.1, -0.9, 1e-3, -1e-3, 7.25, -7.75, 123456.625])
    rounded = _round(np.tile(values, (size, 1)), os.urandom)
    rest = np.abs(values) % 1
    error = SIGMAS * np.sqrt(rest * (1 - rest) / size) + SIGMAS**2 / size
    assert (np.abs(rounded.mean(axis=0) - values) <= error).all()
    assert set(np.unique(rounded - np.trunc(values))) <= {-1, 0, 1}


def test_rounding_leaves_integers_alone():
    """Integers, zero included, are never moved."""
    values = np.array([[0.0, -0.0, 1.0, -5.0, 2.0**40]])
    assert _round(values, os.urandom).tolist() == [[0, 0, 1, -5, 2**40]]


def test_rounding_compares_beyond_53_bits():
    """A fraction of 2^-60 is rounded up exactly if the first 60 drawn bits are zero."""

    def chooser(second):
        draws = iter([0, second << 11])
        return lambda count: next(draws).to_bytes(8, "little") * (count // 8)

    value = np.array([[2.0**-60]])
    assert _round(value, chooser((1 << 46) - 1)).tolist() == [[1]]
    assert _round(value, chooser(1 << 46)).tolist() == [[0]]


def test_rounding_refuses_short_entropy():
    """Rounding stops with a typed error where the source of bytes falls short."""
    with pytest.raises(EntropyFailure):
        encode_block(
            [[0.3]],
            clip_units=64,
            grid_exponent=1,
            norm_bound_squared=64**2,
            entropy=lambda count: b"\x00" * (count - 1),
        )


@settings(max_examples=300, deadline=None)
@given(
    arrays(np.int64, (3, 6), elements=st.integers(-MAX_UNITS, MAX_UNITS)),
    st.integers(-2, 2),
)
def test_the_norm_check_is_exact_up_to_the_last_unit(rows, slack):
    """The two-limb comparison equals Python's integers where sum(x^2) meets the bound within 2, up to |x| = 2^31 -
    1.
    """
    bound = max(1, exact_norm_squared(rows[0]) + slack)
    assert _within(rows, bound).tolist() == [exact_norm_squared(row) <= bound for row in rows]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("clip_units", {"clip_units": 2**31}),
        ("clip_units", {"clip_units": 0}),
        ("clip_units", {"clip_units": 64.0}),
        ("clip_units", {"clip_units": 2}),
        ("half_ranges", {"half_ranges": (0.5,), "statistics": np.zeros((2, 1))}),
        ("half_ranges", {"half_ranges": (2**31,), "statistics": np.zeros((2, 1))}),
        ("norm_bound_squared", {"norm_bound_squared": 2**62}),
        ("norm_bound_squared", {"norm_bound_squared": 0}),
        ("statistics", {"half_ranges": (3,)}),
        ("statistics", {"statistics": np.zeros((3, 0))}),
        ("updates", {"updates": np.zeros(4)}),
    ],
)
def test_what_int64_cannot_hold_is_refused(field, change):
    """Bounds beyond exact int64 arithmetic, floats for grid units, a grid too coarse and wrong shapes name their
    field.
    """
    arguments = {
        "updates": np.zeros((2, 4)),
        "clip_units": 64,
        "grid_exponent": 3,
        "norm_bound_squared": 64**2,
    } | change
    with pytest.raises(InvalidInput, match=field):
        encode_block(arguments.pop("updates"), arguments.pop("statistics", None), **arguments)


def test_a_sum_beyond_int64_is_refused():
    """A block of so many devices that their sum might leave int64 is refused before any work."""
    many = np.broadcast_to(np.zeros(1), (1 << 33, 1))
    with pytest.raises(InvalidInput, match="int64"):
        encode_block(many, clip_units=64, grid_exponent=3, norm_bound_squared=MAX_UNITS**2)


@given(st.integers(1, 32), st.lists(st.integers(-(2**62), 2**62), max_size=9))
def test_residues_come_back_centred(bits, values):
    """from_modulus(to_modulus(x)) is x modulo 2^bits in [-2^(bits-1), 2^(bits-1)), and x itself where it lies there."""
    half = 1 << (bits - 1)
    back = from_modulus(to_modulus(np.array(values, dtype=np.int64), bits), bits).tolist()
    assert back == [(value + half) % (2 * half) - half for value in values]


def test_masked_sums_open_exactly():
    """Adding residues with uint32 wrap-around and centring gives the signed sum."""
    rows = np.random.default_rng(3).integers(-(2**28), 2**28, (4, 50))
    total = np.sum([to_modulus(row) for row in rows], axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(from_modulus(total), rows.sum(axis=0))


def test_residues_out_of_range_are_refused():
    """A residue above the modulus and a modulus beyond 32 bits are refused."""
    with pytest.raises(InvalidInput, match="residues"):
        from_modulus(np.array([16], dtype=np.uint32), bits=4)
    with pytest.raises(InvalidInput, match="bits"):
        to_modulus(np.array([1]), bits=33)


@given(st.lists(st.integers(-(2**52), 2**52), max_size=9), st.integers(0, 60))
def test_decoding_is_exact(values, exponent):
    """Decoding scales by an exact power of two."""
    assert [int(x * 2.0**exponent) for x in decode(np.array(values, dtype=np.int64), exponent)] == values
