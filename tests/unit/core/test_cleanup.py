"""Tidying up, on maps drawn by hand and against slow definitions on random ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deeplab_studio.core import cleanup
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.cleanup import CleanUp, Count, clean_up

ALL = frozenset(range(256))


def drawn(*rows: str) -> np.ndarray:
    """A map written down: one character per pixel, "#" is void."""
    return np.array([[255 if c == "#" else int(c) for c in row] for row in rows], np.uint8)


MAPS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 255]))
CLASSES = st.frozensets(st.sampled_from([0, 1, 2, 255]))


@st.composite
def maps_with_fixed(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    labels = draw(MAPS)
    return labels, draw(hnp.arrays(np.bool_, labels.shape, elements=st.sampled_from([False, False, False, True])))


def regions(member: np.ndarray, *, corners: bool) -> Iterator[list[tuple[int, int]]]:
    """Connected pixels of a mask, by walking."""
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)] + ([(-1, -1), (-1, 1), (1, -1), (1, 1)] if corners else [])
    seen = np.zeros(member.shape, bool)
    for start in zip(*np.nonzero(member), strict=True):
        if seen[start]:
            continue
        region, waiting = [], deque([start])
        seen[start] = True
        while waiting:
            y, x = waiting.popleft()
            region.append((int(y), int(x)))
            for dy, dx in steps:
                to = (y + dy, x + dx)
                if 0 <= to[0] < member.shape[0] and 0 <= to[1] < member.shape[1] and member[to] and not seen[to]:
                    seen[to] = True
                    waiting.append(to)
        yield region


def test_a_hole_is_filled_up_to_its_size() -> None:
    labels = drawn(
        "1111111",
        "1011001",
        "1111001",
        "1111111",
    )
    small = clean_up(labels, CleanUp(frozenset({1}), holes=3))
    assert small.holes == Count(1, 1)
    assert small.labels[1, 1] == 1
    assert (small.labels[1:3, 4:6] == 0).all()
    both = clean_up(labels, CleanUp(frozenset({1}), holes=4))
    assert both.holes == Count(2, 5)
    assert (both.labels == 1).all()
    assert both.changed == 5
    assert labels[1, 1] == 0  # what was given is left alone


def test_what_reaches_the_rim_of_the_map_is_no_hole_and_corners_do_not_open_one() -> None:
    open_bay = drawn("101", "101", "111")
    assert clean_up(open_bay, CleanUp(frozenset({1}), holes=9)).changed == 0
    slanting_wall = drawn("01100", "10010", "10010", "01100")
    assert clean_up(slanting_wall, CleanUp(frozenset({1}), holes=4)).holes == Count(1, 4)


def test_a_hole_with_another_class_in_it_is_one_hole() -> None:
    labels = drawn("11111", "10201", "11111")
    assert clean_up(labels, CleanUp(frozenset({1}), holes=2)).changed == 0
    assert (clean_up(labels, CleanUp(frozenset({1}), holes=3)).labels == 1).all()


def test_islands_take_the_class_they_border_on_most() -> None:
    labels = drawn(
        "000222",
        "001222",
        "002122",
        "000222",
    )
    done = clean_up(labels, CleanUp(frozenset({1}), islands=3))
    assert done.islands == Count(1, 2)  # joined over the corner
    assert done.labels[1, 2] == done.labels[2, 3]
    assert done.labels[1, 2] == 2
    assert clean_up(labels, CleanUp(frozenset({1}), islands=2)).changed == 0


def test_islands_that_touch_go_together_and_a_map_of_islands_stays() -> None:
    labels = drawn("0000", "0120", "0000")
    done = clean_up(labels, CleanUp(frozenset({1, 2}), islands=2))
    assert done.islands == Count(2, 2)
    assert (done.labels == 0).all()
    nothing_else = drawn("12", "21")
    assert clean_up(nothing_else, CleanUp(frozenset({1, 2}), islands=9)).changed == 0


def test_a_hole_or_island_with_a_pinned_pixel_stays_whole() -> None:
    labels = drawn("11111", "10011", "11111", "00000", "00220")
    fixed = np.zeros(labels.shape, bool)
    fixed[1, 1] = fixed[4, 2] = True
    assert clean_up(labels, CleanUp(frozenset({1, 2}), holes=5, islands=5), fixed).changed == 0


def test_smoothing_takes_a_bump_off_and_leaves_straight_boundaries() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[20:] = 1
    assert clean_up(labels, CleanUp(frozenset({1}), smooth=5)).changed == 0
    labels[17:20, 19:21] = 1
    done = clean_up(labels, CleanUp(frozenset({1}), smooth=5))
    assert (done.labels[:18] == 0).all()  # where the boundary bends towards the bump it is straightened too
    assert done.smoothed.pixels == done.changed > 3


def test_smoothing_leaves_a_thin_line_that_is_protected() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[:, 20] = 2
    labels[20:, :19] = 1
    labels[16:20, 5] = 1
    eaten = clean_up(labels, CleanUp(frozenset({1, 2}), smooth=6))
    assert not (eaten.labels == 2).any()
    kept = clean_up(labels, CleanUp(frozenset({1, 2}), smooth=6), fixed=labels == 2)
    assert (kept.labels[:, 20] == 2).all()
    assert (kept.labels[16:19, 5] == 0).all()


def test_smoothing_one_class_leaves_the_boundary_of_two_others() -> None:
    labels = np.zeros((30, 60), np.uint8)
    labels[:, 30:] = 2
    labels[10:14, 28:30] = 2  # ragged, but between two classes that were not chosen
    labels[12:20, 5:15] = 1
    labels[11, 9:11] = 1
    done = clean_up(labels, CleanUp(frozenset({1}), smooth=4))
    assert done.changed > 0
    np.testing.assert_array_equal(done.labels[:, 22:], labels[:, 22:])


def test_void_takes_no_part_unless_it_is_chosen() -> None:
    labels = drawn("0000000", "0#####0", "0#111#0", "0#1#1#0", "0#111#0", "0#####0", "0000000")
    everything = CleanUp(ALL - {255}, holes=9, islands=5, smooth=4, grow=2)
    np.testing.assert_array_equal(clean_up(labels, everything).labels == 255, labels == 255)
    assert clean_up(labels, CleanUp(frozenset({1, 255}), holes=1)).changed == 1


def test_growing_and_shrinking_measure_round_corners() -> None:
    labels = np.zeros((11, 11), np.uint8)
    labels[5, 5] = 3
    grown = clean_up(labels, CleanUp(frozenset({3}), grow=3))
    y, x = np.mgrid[:11, :11] - 5
    np.testing.assert_array_equal(grown.labels == 3, np.hypot(y, x) <= 3)
    back = clean_up(grown.labels, CleanUp(frozenset({3}), grow=-2))
    assert back.labels[5, 5] == 3
    assert (back.labels == 3).sum() < 9
    assert back.grown.pixels == np.count_nonzero(back.labels != grown.labels)


def test_chosen_classes_grow_over_the_others_and_not_over_each_other() -> None:
    labels = drawn("0012200")
    np.testing.assert_array_equal(clean_up(labels, CleanUp(frozenset({1, 2}), grow=1)).labels, drawn("0112220"))
    np.testing.assert_array_equal(clean_up(labels, CleanUp(frozenset({1, 2}), grow=-1)).labels, drawn("0002000"))
    fixed = np.array([[False, True, False, False, False, False, False]])
    np.testing.assert_array_equal(clean_up(labels, CleanUp(frozenset({1}), grow=2), fixed).labels, drawn("1011100"))


@pytest.mark.parametrize(
    ("width", "expected"),
    [(1, "0000#1110"), (2, "0000##110"), (3, "000###110"), (4, "000####10")],
)
def test_the_ring_of_void_is_as_wide_as_was_asked_for(width: int, expected: str) -> None:
    labels = drawn("00000111111111")
    done = clean_up(labels, CleanUp(frozenset({1}), void_ring=width)).labels
    assert np.count_nonzero(done == 255) == width
    np.testing.assert_array_equal(done[:, :8], drawn(expected)[:, :8])


def test_the_ring_between_two_chosen_classes_is_as_wide_and_not_drawn_twice() -> None:
    labels = drawn("11111112222222")
    once = clean_up(labels, CleanUp(frozenset({1, 2}), void_ring=3))
    np.testing.assert_array_equal(once.labels, drawn("111111###22222"))
    assert clean_up(once.labels, CleanUp(frozenset({1, 2}), void_ring=3)).changed == 0


@given(maps_with_fixed(), CLASSES, st.integers(1, 12))
def test_holes_are_what_a_walk_over_the_map_finds(drawn_map, classes, largest) -> None:
    labels, fixed = drawn_map
    done = clean_up(labels, CleanUp(classes, holes=largest), fixed)
    blocked = fixed | ((labels == 255) & (255 not in classes))
    expected = labels.copy()
    for class_id in sorted(classes):
        for hole in regions(expected != class_id, corners=False):
            rim = any(y in (0, labels.shape[0] - 1) or x in (0, labels.shape[1] - 1) for y, x in hole)
            if not rim and len(hole) <= largest and not any(blocked[place] for place in hole):
                for place in hole:
                    expected[place] = class_id
    np.testing.assert_array_equal(done.labels, expected)


@given(maps_with_fixed(), CLASSES, st.integers(1, 12))
def test_no_small_island_is_left_unless_it_was_decided(drawn_map, classes, smallest) -> None:
    labels, fixed = drawn_map
    wanted = CleanUp(classes, islands=smallest)
    done = clean_up(labels, wanted, fixed)
    blocked = fixed | ((labels == 255) & (255 not in classes))
    if done.changed:
        for class_id in classes:
            for island in regions(done.labels == class_id, corners=True):
                assert len(island) >= smallest or any(blocked[place] for place in island)
    assert clean_up(done.labels, wanted, fixed).changed == 0


@given(maps_with_fixed(), CLASSES, st.integers(0, 9), st.integers(0, 9), st.integers(-3, 3), st.integers(0, 4))
def test_fixed_pixels_keep_their_class_whatever_is_asked_for(drawn_map, classes, holes, islands, grow, ring) -> None:
    labels, fixed = drawn_map
    done = clean_up(labels, CleanUp(classes, holes, islands, smooth=3, grow=grow, void_ring=ring), fixed)
    np.testing.assert_array_equal(done.labels[fixed], labels[fixed])
    if not classes:
        np.testing.assert_array_equal(done.labels, labels)
    assert done.changed == np.count_nonzero(done.labels != labels)


@given(MAPS, CLASSES, st.integers(1, 4))
def test_growing_reaches_exactly_so_far(labels, classes, distance) -> None:
    done = clean_up(labels, CleanUp(classes, grow=distance)).labels
    chosen = np.isin(labels, list(classes))
    sources = np.argwhere(chosen)
    for y, x in np.ndindex(labels.shape):
        if chosen[y, x] or labels[y, x] == 255 or not len(sources):
            assert done[y, x] == labels[y, x]
            continue
        away = np.hypot(*(sources - (y, x)).T)
        if away.min() > distance:
            assert done[y, x] == labels[y, x]
        else:
            nearest = labels[tuple(sources[away <= away.min() + 1e-6].T)]
            assert done[y, x] == nearest.min()


@given(MAPS, CLASSES, st.integers(1, 5))
def test_a_second_ring_changes_nothing(labels, classes, width) -> None:
    once = clean_up(labels, CleanUp(classes, void_ring=width)).labels
    again = clean_up(once, CleanUp(classes, void_ring=width)).labels
    np.testing.assert_array_equal(again, once)


@given(MAPS, CLASSES, st.integers(1, 3))
def test_shrinking_is_the_others_growing(labels, classes, distance) -> None:
    labels[labels == 255] = 0
    shrunk = clean_up(labels, CleanUp(classes, grow=-distance)).labels
    grown = clean_up(labels, CleanUp(ALL - classes, grow=distance), fixed=labels == 255).labels
    np.testing.assert_array_equal(shrunk, grown)


def test_squares_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    import cv2

    labels = np.kron(rng.integers(0, 4, (12, 15)), np.ones((9, 9))).astype(np.uint8)
    labels = cv2.medianBlur(labels, 5)
    wanted = CleanUp(frozenset({1, 3}), smooth=5, grow=2, void_ring=3)
    whole = clean_up(labels, wanted).labels
    monkeypatch.setattr(cleanup, "_TILE", 16)
    np.testing.assert_array_equal(clean_up(labels, wanted).labels, whole)


def test_it_stops_when_asked_to() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        clean_up(drawn("0110"), CleanUp(frozenset({1}), smooth=1), cancel=token)


def test_arrays_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        clean_up(np.zeros((3, 3), np.int32), CleanUp(frozenset({1})))
    with pytest.raises(ValueError, match="bool"):
        clean_up(drawn("01"), CleanUp(frozenset({1})), np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="negative"):
        CleanUp(frozenset(), holes=-1)
