"""Values of the listed types, made up by hypothesis, come out of the codec as they were."""

from __future__ import annotations

import sys

import pytest

hypothesis = pytest.importorskip(
    "hypothesis", reason="hypothesis's wheel is not among those given to this run"
)

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exact import assert_same
from trip import round_trip

EXAMPLES = 100 if sys.platform == "emscripten" else 500
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

any_character = st.characters(exclude_categories=())  # surrogates included
hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.text(any_character),
    st.binary(),
)
keys = st.recursive(hashable_scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
scalars = st.one_of(hashable_scalars, st.binary().map(bytearray), st.binary().map(memoryview))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner),
    ),
    max_leaves=40,
)


@BOUNDED
@given(values)
def test_any_value_arrives_as_it_was(value: object) -> None:
    """The promise, on values that nobody thought of."""
    assert_same(round_trip(value), value)


@BOUNDED
@given(st.lists(st.binary(min_size=0, max_size=40_000), max_size=5))
def test_buffers_of_any_size_keep_their_order(buffers: list[bytes]) -> None:
    """In the frame or beside it: each arrives in its place."""
    value = [(data, bytearray(data), memoryview(data)) for data in buffers]
    assert_same(round_trip(value), value)


@BOUNDED
@given(st.integers(min_value=0, max_value=5000), st.booleans())
def test_ints_at_each_length(bits: int, negative: bool) -> None:
    """Ints on both sides of each power of two arrive as they were."""
    for step in (-1, 0, 1):
        number = (1 << bits) + step
        number = -number if negative else number
        assert_same(round_trip(number), number)
