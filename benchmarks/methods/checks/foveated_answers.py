"""Check of looking closer before answering: a small glyph in a large picture that is first shown small."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.menu import softmax, view
from envs.foveation import Foveated
from rewards.columns import Column

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIDE, SHOWN, GLYPH, KINDS, NOISE = 64, 8, 4, 4, 0.15
ACROSS = 4
WINDOWS = NO_ZOOM = ACROSS**2
"""Windows, and the choice of none."""
PLACES = SIDE // GLYPH
WITHIN = PLACES // ACROSS
"""Places for a glyph along a side, and along a side of a window."""
RELUCTANCE, FORCED = 5.0, 50.0
"""Log-odds against zooming by itself, of each window, and against what a template leaves no room for."""
TRAINING, TESTS = 192, 256


def glyphs(random: np.random.Generator) -> Floats:
    """Shapes of 4 × 4 pixels `[K, 4, 4]`, of 6 to 9 bright ones: hardly told apart by their mean."""
    return np.stack([random.permutation(np.arange(GLYPH**2) < 6 + kind).reshape(GLYPH, GLYPH) for kind in range(KINDS)])


def zoomed(picture: Floats) -> list[Floats]:
    """What each window shows, and last the whole."""
    seen, side = Foveated(picture, (SHOWN, SHOWN)), SHOWN / ACROSS
    boxes = [(side * x, side * y, side * (x + 1), side * (y + 1)) for y in range(ACROSS) for x in range(ACROSS)]
    shown = [seen.zoom(box) for box in boxes]
    return [*(one for one in shown if one is not None), seen.first]


class Pictures:
    """Pictures with a glyph each, and what an eye that knows the glyphs makes of each look at them.

    Attributes:
        kind: of the glyph `[P]`.
        window: that it is in `[P]`.
        seems: the window where it seems to be at the first look `[P]`.
        read: the kind that is seen in each window, and last at the first look; KINDS where none is `[P, 17]`.
    """

    def __init__(self, shapes: Floats, random: np.random.Generator, number: int) -> None:
        """Draw them."""
        self.kind = random.integers(0, KINDS, number)
        places = random.integers(0, PLACES, (number, 2))
        self.window = window_of(places[:, 0], places[:, 1])
        # What each kind of glyph would look like at each place, at each of both scales.
        whole, inside = list[Floats](), list[Floats]()
        for shape in shapes:
            for row in range(PLACES):
                for column in range(PLACES):
                    clean = drawn(shape, row, column)
                    whole.append(Foveated(clean, (SHOWN, SHOWN)).first)
                    if max(row, column) < WITHIN:
                        inside.append(zoomed(clean)[0])
        self.seems, self.read = np.zeros(number, np.int64), np.zeros((number, WINDOWS + 1), np.int64)
        for k, (kind, (row, column)) in enumerate(zip(self.kind, places, strict=True)):
            looks = zoomed(drawn(shapes[kind], row, column) + NOISE * random.normal(size=(SIDE, SIDE)))
            for window, look in enumerate(looks[:-1]):
                best = nearest(look, [*inside, np.zeros((SHOWN, SHOWN))])
                self.read[k, window] = best * KINDS // len(inside)
            best = nearest(looks[-1], whole)
            self.read[k, -1] = best * KINDS // len(whole)
            self.seems[k] = window_of(*np.divmod(best % PLACES**2, PLACES))


def window_of(row: Ints, column: Ints) -> Ints:
    """The window that places are in."""
    found: Ints = row // WITHIN * ACROSS + column // WITHIN
    return found


def drawn(shape: Floats, row: int, column: int) -> Floats:
    """A picture with a glyph and nothing else."""
    picture = np.zeros((SIDE, SIDE))
    picture[GLYPH * row : GLYPH * (row + 1), GLYPH * column : GLYPH * (column + 1)] = shape
    return picture


def nearest(look: Floats, templates: list[Floats]) -> int:
    """The template that a look differs least from."""
    return int(np.square(np.stack(templates) - look).sum((1, 2)).argmin())


@cache
def pictures(seed: int) -> tuple[Pictures, Pictures, Ints]:
    """Pictures to learn from and others, and the word for each kind, which is to be learnt too."""
    random = np.random.default_rng(seed)
    shapes, names = glyphs(random), random.permutation(KINDS)
    return Pictures(shapes, random, TRAINING), Pictures(shapes, random, TESTS), names


def answered(seed: int, zoom: float, updates: int = 400) -> Mapping[str, float]:
    """What becomes of answers when nothing is paid but a right one.

    Args:
        seed: of everything.
        zoom: log-odds of each window at first, against none.
        updates: batches.
    """
    training, tests, names = pictures(seed)

    def second(prompt: Ints, filled: Ints) -> Ints:
        found: Ints = training.read[prompt, filled[:, 0]] + (KINDS + 1) * (filled[:, 0] == NO_ZOOM)
        return found

    start = np.append(np.full(WINDOWS, zoom), 0.0)
    fields = [
        Field(WINDOWS + 1, WINDOWS, lambda prompt, filled: training.seems[prompt], start),
        Field(KINDS, 2 * (KINDS + 1), second),
    ]
    form = Form(fields)

    def measured() -> tuple[float, float, float]:
        looks, words = softmax(form.logits[0])[tests.seems], softmax(form.logits[1])
        right = words[tests.read + (KINDS + 1) * (np.arange(WINDOWS + 1) == NO_ZOOM), names[tests.kind][:, None]]
        zooms = looks[:, :NO_ZOOM].sum(1)
        return (
            float((looks * right).sum(1).mean()),
            float(zooms.mean()),
            float(looks[np.arange(TESTS), tests.window].mean()),
        )

    before = measured()
    trained(
        form,
        TRAINING,
        lambda prompt, forms, random: {"right": Column.full(forms[:, 1] == names[training.kind[prompt]])},
        view(
            {"right": "episode"},
            {"part": "weighted_sum", "coefficients": {"right": 1.0}},
            {"part": "group_relative", "preset": "grpo", "of": "reward"},
        ),
        seed,
        updates,
    )
    right, zooms, hits = measured()
    return {"right answers": right, "zooms": zooms, "target in the window": hits, "target in it at first": before[2]}


def _grounding_is_learnt(found: Found) -> bool:
    mgpo, hit = "MGPO", "target in the window"
    rise = found.mean(mgpo, hit) - found.mean(mgpo, "target in it at first")
    return (
        rise > 0.3
        and found.above(mgpo, "single turn", "right answers")
        and found.interval("without the template", "zooms")[1] < 0.2
    )


MGPO = Check(
    row=212,
    name="multi-turn-grounding-rl",
    claim="Paid for right answers alone, and made to name a window first, a policy learns to look where the target is, "
    "in at least 0.3 more of the pictures than at first, and is right more often than from the first look alone. "
    "Left to itself it zooms in less than a fifth of the pictures.",
    arms={
        "single turn": partial(answered, zoom=-FORCED),
        "without the template": partial(answered, zoom=-RELUCTANCE - np.log(WINDOWS)),
        "MGPO": partial(answered, zoom=FORCED),
    },
    holds=_grounding_is_learnt,
    units=dict.fromkeys(
        ("right answers", "zooms", "target in the window", "target in it at first"), "share of pictures"
    ),
)
