"""Checks of rewards for looking before acting: proposals, salient regions, windows, tools that undo."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.menu import softmax, view
from benchmarks.methods.worlds.menu import trained as picking
from rewards.columns import Column
from rewards.sources.proposals import attended_action, best_plan, salient_coverage
from rewards.sources.tool_use import Calls, conditional_bonus, necessary_tools
from rewards.verifiers.sets import Box
from rewards.views.layout import Level

Part = Mapping[str, Any]
Ints = NDArray[np.int64]
SCORE: Mapping[str, Level] = {"score": "episode"}
PLAIN: tuple[Part, ...] = (
    {"part": "weighted_sum", "coefficients": {"score": 1.0}},
    {"part": "group_relative", "preset": "grpo", "of": "reward"},
)

# --- 154: where to look, and then what to do -------------------------------------------------------------------------

CELLS = 16
EVERYTHING = CELLS
"""The choice of listing all cells, which overlap."""


def cell(number: int) -> Box:
    """A cell of a grid of four by four; neighbours overlap by more than half."""
    x, y = divmod(number, 4)
    return (0.25 * x, 0.25 * y, 0.25 * x + 1, 0.25 * y + 1)


def blinked(seed: int, process: bool, keeps_apart: bool = True, updates: int = 250) -> Mapping[str, float]:
    """How often the right cell is acted on, when the action sees nothing but the regions that were proposed.

    Args:
        seed: of targets and sampling.
        process: whether proposals are paid.
        keeps_apart: whether proposals that overlap are worth nothing; else a list of everything hits.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    target = random.permutation(CELLS)
    boxes = [cell(number) for number in range(CELLS)]

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        paid = []
        for asked, (looked, acted) in zip(prompt, forms, strict=True):
            aim = int(target[asked])
            shown = boxes if looked == EVERYTHING else [boxes[looked]]
            if not keeps_apart and looked == EVERYTHING:
                shown = [boxes[aim]]
            found = attended_action(True, shown, boxes[aim], bool(acted == aim))
            # Cells overlap, so that nearness is not hitting: what is wanted is the cell itself.
            hit = found.attention * (looked in (aim, EVERYTHING))
            paid.append(found.form + found.action + (hit if process else 0.0))
        return {"score": Column.full(paid)}

    fields = [Field(CELLS + 1, CELLS), Field(CELLS, CELLS + 1, lambda prompt, filled: filled[:, 0])]
    form = trained(Form(fields), CELLS, judged, view(SCORE, *PLAIN), seed, updates, rate=4.0)
    looks = softmax(form.logits[0])
    acts = looks @ softmax(form.logits[1])
    return {
        "right actions": float(acts[np.arange(CELLS), target].mean()),
        "looked at the target": float(looks[np.arange(CELLS), target].mean()),
        "listed everything": float(looks[:, EVERYTHING].mean()),
    }


BTL_UI = Check(
    row=154,
    name="process-outcome-rule-reward",
    claim="Where an action depends on what was looked at, a reward for proposing the target beside the one for the "
    "action brings more right actions at equal steps than the action alone; without the rule that proposals "
    "keep apart, everything is listed more often.",
    arms={
        "outcome": lambda seed: blinked(seed, process=False),
        "process, no rule": lambda seed: blinked(seed, process=True, keeps_apart=False),
        "process": lambda seed: blinked(seed, process=True),
    },
    holds=lambda found: (
        found.above("process", "outcome", "right actions")
        and found.above("process, no rule", "process", "listed everything")
    ),
    units={"right actions": "share of actions"},
)

# --- 183: what decides the answer, and ways that lead to it ----------------------------------------------------------

SCENES, OBJECTS, PLACES, WAYS = 8, 5, 14, 3


def grounded(seed: int, salient: bool, ways: bool, updates: int = 200) -> Mapping[str, float]:
    """How often the key object is located with two boxes among five objects, and how many ways are gone.

    Args:
        seed: of scenes and sampling.
        salient: whether the key object has most of the weight; else all objects have the same.
        ways: whether any of three plans pays; else only the first.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    places = np.stack([random.permutation(PLACES)[:OBJECTS] for _ in range(SCENES)])  # the first is the key
    weights = [6.0, 1.0, 1.0, 1.0, 1.0] if salient else [1.0] * OBJECTS

    def span(place: int) -> Box:
        return (float(place), place + 1.0)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        paid = []
        for asked, (one, two, way) in zip(prompt, forms, strict=True):
            wanted = [span(int(place)) for place in places[asked]]
            covered = salient_coverage([span(int(one)), span(int(two))], wanted, weights)
            followed = [float(way == plan) for plan in range(WAYS if ways else 1)]
            paid.append(covered + 0.5 * best_plan(followed))
        return {"score": Column.full(paid)}

    # Ways 0 to 2 are admissible plans, 3 to 5 are none.
    fields = [Field(PLACES, SCENES), Field(PLACES, SCENES), Field(2 * WAYS, SCENES)]
    form = trained(Form(fields), SCENES, judged, view(SCORE, *PLAIN), seed, updates)
    one, two, way = (softmax(logits) for logits in form.logits)
    scene = np.arange(SCENES)
    missed = (1 - one[scene, places[:, 0]]) * (1 - two[scene, places[:, 0]])
    entropy = -(way * np.log(np.maximum(way, 1e-12))).sum(-1)
    return {
        "key object located": float(1 - missed.mean()),
        "entropy of ways": float(entropy.mean()),
        "admissible ways": float(way[:, :WAYS].sum(-1).mean()),
    }


GRIP = Check(
    row=183,
    name="salience-weighted-iou-reward",
    claim="With regions weighted by salience the key object of a scene is located more often than with equal weights, "
    "and with the best of several plans paid, ways differ more than with one plan, at as many admissible ones.",
    arms={
        "equal, one plan": lambda seed: grounded(seed, salient=False, ways=False),
        "salient, one plan": lambda seed: grounded(seed, salient=True, ways=False),
        "salient, best of plans": lambda seed: grounded(seed, salient=True, ways=True),
    },
    holds=lambda found: (
        found.above("salient, one plan", "equal, one plan", "key object located")
        and found.above("salient, best of plans", "salient, one plan", "entropy of ways")
        and (found.difference("salient, best of plans", "salient, one plan", "admissible ways").low or 0.0) > -0.05
    ),
    units={"entropy of ways": "nats"},
)

# --- 208: windows of something long ----------------------------------------------------------------------------------

WINDOWS = np.arange(7)
"""How many windows are looked at; the last is all of them."""


def spotlit(seed: int, bonus: str, updates: int = 400) -> Mapping[str, float]:
    """Right answers and windows looked at, in questions that one or two of six windows answer.

    Args:
        seed: of questions and sampling.
        bonus: "none"; "conditional": 0.02 for having looked, with a right answer only; "unconditional": 0.2 a look.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    needed = random.integers(1, 3, 10)  # windows that hold the fact
    # Choices: number of windows; whether its thoughts name what it looks at (else it is incoherent).
    count, coherent = np.tile(WINDOWS, 2), np.repeat([True, False], len(WINDOWS))
    chance = np.where(count >= needed[:, None], 0.95, 0.3)

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        right = (random.random(len(picked)) < chance[prompt, picked]).astype(float)
        looked = count[picked]
        if bonus == "conditional":
            paid = conditional_bonus(right, coherent[picked], 0.02 * (looked > 0)[:, None])
        else:
            paid = right + (0.2 * looked if bonus == "unconditional" else 0.0)
        return {"score": Column.full(paid - 0.01 * looked)}  # reading costs a little

    chances = picking(np.zeros(chance.shape), judged, view(SCORE, *PLAIN), seed, updates=updates, groups=10)
    return {
        "right": float((chances * chance).sum(-1).mean()),
        "windows": float((chances * count).sum(-1).mean()),
        "coherent": float((chances * coherent).sum(-1).mean()),
    }


FRAME_THINKER = Check(
    row=208,
    name="conditional-action-reward",
    claim="With a bonus for looking that needs a right and coherent answer, accuracy comes within 0.05 of reading all "
    "six windows (0.95) with at most half of them, and coherence rises; a bonus for each look leads to more "
    "looks.",
    arms={bonus: partial(spotlit, bonus=bonus) for bonus in ("none", "conditional", "unconditional")},
    holds=lambda found: (
        found.interval("conditional", "right")[0] > 0.9
        and found.interval("conditional", "windows")[1] <= 3
        and found.above("conditional", "none", "coherent")
        and found.above("unconditional", "conditional", "windows")
    ),
    units={"right": "share of answers"},
)

# --- 219: tools that undo what was done to a picture -----------------------------------------------------------------

OPERATIONS = ("rotate", "flip", "crop")
EXTRA = 4
"""Calls without use that can be made besides: 0 to 3."""


def undone(
    seed: int, dense: bool, mandatory: float = 1.0, price: float = 0.5, updates: int = 150
) -> Mapping[str, float]:
    """Accuracy on corrupted inputs, how many of the needed operations are applied, and calls that were not needed.

    Args:
        seed: of sampling.
        dense: whether tools are paid for; else the answer alone.
        mandatory: α.
        price: γ.
        updates: batches.
    """
    required = [tuple(name for k, name in enumerate(OPERATIONS) if number >> k & 1) for number in range(8)]

    def calls(form: Ints) -> Calls:
        used = [name for name, applied in zip(OPERATIONS, form[:3], strict=True) if applied]
        return Calls(tuple(used + ["rotate", "rotate", "rotate"][: form[3]]), 0.9 if form[2] else 0.0)

    def chance(number: int, form: Ints) -> float:
        """An upright picture that is near enough is mostly recognised; each fault takes a part of that."""
        faults = sum(bool(number >> k & 1) != bool(form[k]) for k in range(3)) + (form[3] % 2)
        return float(0.95 * 0.6**faults)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        paid = []
        for number, form in zip(prompt, forms, strict=True):
            right = bool(random.random() < chance(int(number), form))
            if dense:
                made = necessary_tools(right, True, calls(form), required[number], mandatory=mandatory, price=price)
                paid.append(made.total)
            else:
                paid.append(float(right))
        return {"score": Column.full(paid)}

    form = trained(Form([Field(2, 8)] * 3 + [Field(EXTRA, 8)]), 8, judged, view(SCORE, *PLAIN), seed, updates)
    prompt = np.repeat(np.arange(8), 100)
    forms = form.filled(prompt, np.random.default_rng(10_000 + seed))
    needed = np.array([[name in names for name in OPERATIONS] for names in required])[prompt]
    return {
        "right": float(np.mean([chance(int(number), one) for number, one in zip(prompt, forms, strict=True)])),
        "needed operations": float((forms[:, :3] * needed).sum() / needed.sum()),
        "calls beyond need": float((forms[:, :3].sum(-1) + forms[:, 3] - needed.sum(-1)).mean()),
    }


CODE_VISION = Check(
    row=219,
    name="necessary-tool-process-reward",
    claim="At equal steps the dense reward for tools brings more right answers on corrupted inputs than the outcome "
    "alone; without its price there are more calls beyond need, without its mandatory term fewer needed ones.",
    arms={
        "outcome": lambda seed: undone(seed, dense=False),
        "dense": lambda seed: undone(seed, dense=True),
        "no price": lambda seed: undone(seed, dense=True, price=0.0),
        "no mandatory term": lambda seed: undone(seed, dense=True, mandatory=0.0),
    },
    holds=lambda found: (
        found.above("dense", "outcome", "right")
        and found.above("no price", "dense", "calls beyond need")
        and found.below("no mandatory term", "dense", "needed operations")
    ),
    units={"right": "share of answers", "needed operations": "share", "calls beyond need": "calls"},
)
