"""Whatever tools do to a class map, taking it all back gives the first one, and doing it again the last one."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplab_studio.core.classmap import ClassMap, Edit, PaintRules, Stroke
from deeplab_studio.core.drawing import Patch, Stamp, dab, sweep
from deeplab_studio.core.drawing_regions import as_likely, same_class, similar
from deeplab_studio.core.drawing_shapes import Box, Ellipse, Polygon
from deeplab_studio.core.geometry import Rect
from deeplab_studio.core.history import History

HEIGHT, WIDTH = 90, 290  # more than one tile, no multiple of it
IMAGE = Rect(0, 0, HEIGHT, WIDTH)


class Hand:
    """Uses all tools at random on one class map."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        coarse = self.rng.integers(0, 5, (6, 10))
        labels = np.kron(coarse, np.ones((15, 29))).astype(np.uint8)
        labels[labels == 4] = 255
        self.map = ClassMap(labels, self.rng.random((HEIGHT, WIDTH)) < 0.1)
        self.photo = np.kron(self.rng.integers(0, 256, (9, 29, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        self.likelihood = self.rng.random((8, 12)).astype(np.float32)

    def place(self) -> tuple[int, int]:
        return int(self.rng.integers(HEIGHT)), int(self.rng.integers(WIDTH))

    def around(self) -> tuple[float, float]:
        """Coordinates in the image or somewhat outside."""
        return float(self.rng.uniform(-40, WIDTH + 40)), float(self.rng.uniform(-40, HEIGHT + 40))

    def rect(self) -> Rect:
        (x0, y0), (x1, y1) = self.around(), self.around()
        return Rect(int(min(y0, y1)), int(min(x0, x1)), int(max(y0, y1)) + 1, int(max(x0, x1)) + 1)

    def patch(self) -> Patch:
        size = int(self.rng.integers(1, 60))
        shape = "round" if self.rng.random() < 0.5 else "square"
        row, column = self.place()
        tolerance = float(self.rng.random() * 0.5)
        connected = bool(self.rng.random() < 0.7)
        match int(self.rng.integers(8)):
            case 0:
                return dab(Stamp(*self.around(), size), shape)
            case 1:
                return sweep(Stamp(*self.around(), size), Stamp(*self.around(), size // 2 + 1), shape, (HEIGHT, WIDTH))
            case 2:
                return Polygon([self.around() for _ in range(self.rng.integers(3, 12))]).patch(IMAGE)
            case 3:
                return Box(self.rect()).patch(IMAGE)
            case 4:
                return Ellipse(self.rect()).patch(IMAGE)
            case 5:
                return same_class(self.map.labels, row, column, connected=connected)
            case 6:
                return similar(self.photo, row, column, tolerance, connected=connected, gap=int(self.rng.integers(3)))
            case _:
                return as_likely(self.likelihood, (HEIGHT, WIDTH), row, column, tolerance, connected=connected)

    def rules(self) -> PaintRules | None:
        some = frozenset(self.rng.choice(6, 3).tolist())
        return (None, PaintRules(protect=some), PaintRules(only_over=some | {255}))[self.rng.integers(3)]

    def act(self, stroke: Stroke) -> None:
        top, left, mask = self.patch()
        pin = bool(self.rng.random() < 0.8)
        if self.rng.random() < 0.3:
            several = self.rng.integers(0, 6, mask.shape).astype(np.uint8)
            stroke.put(top, left, several, mask, pin=pin)
        else:
            stroke.paint(top, left, mask, int(self.rng.choice([0, 1, 2, 3, 255])), pin=pin)
        if self.rng.random() < 0.2:
            stroke.restore(self.rect().clipped(HEIGHT, WIDTH) if self.rng.random() < 0.5 else None)

    def edit(self) -> Edit | None:
        kind = self.rng.random()
        if kind < 0.03:
            return self.map.replace(self.rng.integers(0, 5, (HEIGHT, WIDTH)).astype(np.uint8), "Prediction")
        if kind < 0.06:
            return self.map.set_pins(bool(self.rng.random() < 0.5), "Pins", self.rng.random((HEIGHT, WIDTH)) < 0.5)
        stroke = self.map.begin("Stroke", self.rules())
        for _ in range(self.rng.integers(1, 4)):
            self.act(stroke)
        if kind < 0.1:
            stroke.abort()
            return None
        return stroke.commit()

    def state(self) -> tuple[bytes, bytes]:
        return self.map.labels.tobytes(), self.map.pinned.tobytes()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_thousand_edits_and_a_thousand_undos_give_back_the_first_map(seed: int) -> None:
    hand = Hand(seed)
    history = History(hand.map, max_bytes=1 << 40)
    first, edits = hand.state(), 0
    while edits < 1000:
        edit = hand.edit()
        history.push(edit)
        edits += edit is not None
    last = hand.state()
    history.compact()
    for _ in range(1000):
        assert history.undo() is not None
    assert hand.state() == first
    assert history.undo() is None
    for _ in range(1000):
        assert history.redo() is not None
    assert hand.state() == last


@given(st.integers(0, 2**32 - 1), st.lists(st.booleans(), min_size=5, max_size=40))
@settings(max_examples=25, deadline=None)
def test_any_walk_back_and_forth_ends_where_it_was(seed: int, ways: list[bool]) -> None:
    hand = Hand(seed)
    history = History(hand.map)
    states = [hand.state()]
    for _ in range(12):
        edit = hand.edit()
        history.push(edit)
        if edit is not None:
            states.append(hand.state())
    at = len(states) - 1
    for back in ways:
        moved = history.undo() if back else history.redo()
        at += (-1 if back else 1) * (moved is not None)
        assert hand.state() == states[at]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_gesture_that_is_taken_back_leaves_nothing(seed: int) -> None:
    hand = Hand(seed)
    before = hand.state()
    for end in (Stroke.abort, Stroke.restore):
        stroke = hand.map.begin("Stroke", hand.rules())
        for _ in range(4):
            hand.act(stroke)
        end(stroke)
        assert hand.state() == before
        if end is Stroke.restore:
            assert stroke.commit() is None
