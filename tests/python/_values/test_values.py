"""Every value that issue 2 lists goes through the codec and comes out as it was."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable

import pytest
from workerlib._native import decode, encode

from exact import assert_same
from trip import frame_of, round_trip
from values import NON_CONTIGUOUS, VALUES, dismantle, nested_dicts, nested_lists, nested_tuples

BUILDERS = [nested_lists, nested_tuples, nested_dicts]


@pytest.mark.parametrize("name", VALUES)
def test_value_arrives_as_it_was(name: str) -> None:
    """Equal and of the same type."""
    assert_same(round_trip(VALUES[name]), VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_value_arrives_inside_of_containers(name: str) -> None:
    """A value does not depend on what stands around it."""
    value = VALUES[name]
    around = [value, (value, {"key": value}), value]
    assert_same(round_trip(around), around)


def test_all_values_together() -> None:
    """Many buffers in one frame are not mixed up."""
    everything = [*VALUES.values(), dict(VALUES), tuple(VALUES.values())]
    assert_same(round_trip(everything), everything)


@pytest.mark.parametrize(
    ("name", "sent", "expected"), NON_CONTIGUOUS, ids=[name for name, *_ in NON_CONTIGUOUS]
)
def test_view_that_is_not_contiguous_arrives_contiguous(
    name: str, sent: memoryview, expected: memoryview
) -> None:
    """The content is that of the view, in C order."""
    back = round_trip(sent)
    assert_same(back, expected)
    assert isinstance(back, memoryview)
    assert back.c_contiguous


def test_large_view_that_is_not_contiguous() -> None:
    """The same beyond the size at which buffers leave the frame."""
    base = bytearray(range(256)) * 1024
    assert_same(round_trip(memoryview(base)[::2]), memoryview(bytearray(base[::2])))


@pytest.mark.parametrize("size", [100, 100_000])
def test_received_buffers_own_their_memory(size: int) -> None:
    """Received buffers can be written to where the source could, and share no memory with it or with the frame."""
    source = bytearray(b"x" * size)
    data, buffers = encode([source, memoryview(source)])
    frame = [bytearray(memoryview(buffer)) for buffer in buffers]
    received, view = decode(bytes(data), list(frame))  # type: ignore[misc]
    source[0] = 0
    for buffer in frame:
        buffer[:] = bytes(len(buffer))
    assert received == b"x" * size
    assert view == b"x" * size
    view[0] = 1
    received[0] = 2
    received.append(3)
    assert view[0] == 1
    assert received[:2] == b"\x02x"
    assert source[0] == 0


@pytest.mark.parametrize("size", [100, 100_000])
def test_read_only_views_stay_read_only(size: int) -> None:
    """A view of bytes cannot be written to when it arrives."""
    view = round_trip(memoryview(b"x" * size))
    assert isinstance(view, memoryview)
    with pytest.raises(TypeError):
        view[0] = 1


def test_received_views_are_aligned() -> None:
    """A view's items can be cast and read whatever stood before it in the frame."""
    for shift in range(9):
        (_, view) = round_trip((b"x" * shift, memoryview(array("d", [1.5, 2.5]))))  # type: ignore[misc]
        assert view.tolist() == [1.5, 2.5]
        assert view.cast("B").cast("d").tolist() == [1.5, 2.5]


def test_views_outlive_the_frame() -> None:
    """A received view keeps its memory alive by itself."""
    views = [round_trip(memoryview(bytes([number]) * 50_000)) for number in range(20)]
    gc.collect()
    assert all(set(view) == {number} for number, view in enumerate(views))  # type: ignore[call-overload]


def test_sent_buffers_are_released() -> None:
    """A bytearray can be resized again once it was sent."""
    for size in (100, 100_000):
        source = bytearray(size)
        view = memoryview(source)
        frame_of([source, view])
        view.release()
        source.append(1)
        assert len(source) == size + 1


@pytest.mark.parametrize("build", BUILDERS)
def test_depth_is_not_bounded_by_the_stack(build: Callable[[int], object]) -> None:
    """A hundred thousand levels pass, both ways."""
    box = [build(100_000)]
    back = [round_trip(box[0])]
    assert_same(back[0], box[0])
    dismantle(back)
    dismantle(box)


def test_equal_scalars_keep_their_types_as_keys() -> None:
    """Keys that are equal across types stay the key that the dict holds."""
    for key in (1, True, 1.0, 0, False, 0.0, -0.0):
        assert_same(round_trip({key: "value"}), {key: "value"})


def test_no_references_are_lost_or_kept() -> None:
    """Round trips leave reference counts as they were."""
    marker = ["marker"]
    text = "some text that is not interned"
    value = {"a": marker, "b": (marker, [marker]), text: bytearray(b"x"), "v": memoryview(b"y")}
    before = [sys.getrefcount(item) for item in (marker, text, value)]
    for _ in range(100):
        round_trip(value)
    gc.collect()
    assert [sys.getrefcount(item) for item in (marker, text, value)] == before
