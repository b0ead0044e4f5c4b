"""Checks of rewards from what one text says of another: answers of questions, pictures of wishes, thoughts of texts."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.information import reconstruction_likelihood, self_aligned

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- 89: answers that are of their question --------------------------------------------------------------------------

FILLER, LONGEST, LARGEST = 12, 12, 10
"""The first of three words that say nothing; tokens of an answer; sums of numbers below."""
WORDS = FILLER + 3
EMPTY = arithmetic.PLUS
"""What stands in the place of a question that is left out."""


def texts(asked: Ints, random: np.random.Generator) -> Ints:
    """Right answers, most of them with some filler before and behind `[n, LONGEST]`."""
    digits, found = arithmetic.answers(asked), np.full((len(asked), LONGEST), END)
    for row, answer in enumerate(digits):
        words = answer[answer != END].tolist()
        before, behind = random.integers(0, 4, 2)
        filled = [*random.integers(FILLER, WORDS, before), *words, *random.integers(FILLER, WORDS, behind)]
        found[row, : len(filled)] = filled
    return found


@cache
def talker(seed: int) -> TinyPolicy:
    """A policy that was taught sums with filler, and a little to answer without a question; it may not be trained."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(WORDS, seed)
    asked = arithmetic.prompts(random, 400, LARGEST)
    written = texts(asked, random)
    blind = np.where(random.random((400, 1)) < 0.15, EMPTY, asked)
    imitate(policy, blind, written, 220)
    return policy


def told(writing: Writing) -> NDArray[np.float32]:
    """1 where what is said besides filler is the answer `[B]`."""
    wanted = arithmetic.answers(writing.prompts)
    found = np.zeros(len(wanted), np.float32)
    for row, (said, mask) in enumerate(zip(writing.completions, writing.mask, strict=True)):
        words = [word for word in said[mask].tolist() if word != END and word < FILLER]
        found[row] = words == [word for word in wanted[row].tolist() if word != END]
    return found


def concise(seed: int, arm: str, updates: int = 200) -> Mapping[str, float]:
    """Right answers and their length after training with a reward.

    Args:
        seed: of everything.
        arm: "correct", "length penalty" (of 0.02 a token) or "SAR" (0.2 of it).
        updates: gradient steps.
    """
    policy = deepcopy(talker(seed))

    def judged(writing: Writing) -> Mapping[str, Column]:
        score = told(writing).astype(np.float64)
        if arm == "length penalty":
            score = score - 0.02 * writing.length
        elif arm == "SAR":
            with torch.no_grad():
                blind = torch.full(writing.prompts.shape, EMPTY)
                alone = writing.policy.log_probs(blind, torch.as_tensor(writing.completions)).numpy()
            score = score + 0.2 * self_aligned(writing.log_probs, alone, writing.mask)
        return {"score": Column.full(score)}

    def asked(random: np.random.Generator, number: int) -> Ints:
        return arithmetic.prompts(random, number, LARGEST)

    reinforce(policy, asked, judged, grpo(), seed, updates, length=LONGEST)
    writing = write(
        policy, asked(np.random.default_rng(9000 + seed), 200), 4, LONGEST, torch.Generator().manual_seed(seed)
    )
    return {"right": float(told(writing).mean()), "length": float(writing.length.mean())}


SAR = Check(
    row=89,
    name="conditional-perplexity-gain",
    claim="With 0.2 of the self-aligned reward beside the right answer, answers are shorter by a fifth than with the "
    "right answer alone, and no less often right (within 0.03); a penalty on length that shortens as much costs "
    "accuracy.",
    arms={arm: partial(concise, arm=arm) for arm in ("correct", "length penalty", "SAR")},
    holds=lambda found: (
        found.mean("SAR", "length") < 0.8 * found.mean("correct", "length")
        and (found.difference("SAR", "correct", "right").low or 0.0) > -0.03
        and found.above("SAR", "length penalty", "right")
    ),
    units={"right": "share of answers", "length": "tokens"},
)

# --- 90: can what was asked be read off? -----------------------------------------------------------------------------

SHAPES, COLOURS, CANVAS = 4, 4, 5
PAINT = 1 + SHAPES + COLOURS
"""The first of eight strokes; stroke s is of shape s % 4 where it is even in place, of colour s % 4 where it is odd."""
STROKES = 8
TOKENS = PAINT + STROKES


def wishes(random: np.random.Generator, number: int) -> Ints:
    """A shape and a colour `[n, 2]`."""
    return np.stack([1 + random.integers(0, SHAPES, number), 1 + SHAPES + random.integers(0, COLOURS, number)], -1)


def pictures(asked: Ints, random: np.random.Generator, noise: float) -> Ints:
    """Sequences of strokes that show what was asked, but for a share `noise` of them `[n, CANVAS]`."""
    place = np.arange(CANVAS)
    kind = np.where(place % 2 == 0, asked[:, :1] - 1, asked[:, 1:] - 1 - SHAPES)
    stroke = kind + 4 * random.integers(0, 2, kind.shape)
    wrong = random.random(kind.shape) < noise
    found: Ints = PAINT + np.where(wrong, random.integers(0, STROKES, kind.shape), stroke)
    return found


def shown(asked: Ints, painted: Ints) -> Floats:
    """Share of strokes that show what was asked `[n]`."""
    place = np.arange(CANVAS)
    kind = np.where(place % 2 == 0, asked[:, :1] - 1, asked[:, 1:] - 1 - SHAPES)
    found: Floats = ((painted >= PAINT) & ((painted - PAINT) % 4 == kind)).mean(-1)
    return found


@cache
def painter_and_reader(seed: int) -> tuple[TinyPolicy, TinyPolicy]:
    """Who makes pictures, and who says of pictures what was asked; neither may be trained further."""
    random = np.random.default_rng(1000 + seed)
    painter, reader = TinyPolicy(TOKENS, seed), TinyPolicy(TOKENS, 500 + seed)
    asked = wishes(random, 600)
    imitate(painter, asked, pictures(asked, random, 0.6), 80)
    asked = wishes(random, 1500)
    imitate(reader, pictures(asked, random, 0.4), asked, 150)
    return painter, reader


def painted(seed: int, echo: bool, updates: int = 60) -> Mapping[str, float]:
    """How well pictures show what was asked, and how much a score changes when it is asked for again.

    Args:
        seed: of everything.
        echo: whether the score is the likelihood of the wish; else a wish is sampled from the reader and compared.
        updates: gradient steps.
    """
    start, reader = painter_and_reader(seed)
    policy, generator = deepcopy(start), torch.Generator().manual_seed(seed)

    def scored(writing: Writing) -> Floats:
        made, asked = torch.as_tensor(writing.completions), torch.as_tensor(writing.prompts)
        with torch.no_grad():
            if not echo:
                said = reader.write(made, 2, generator)
                return (said == asked).all(-1).double().numpy()
            logs = reader.log_probs(made, asked).double().numpy()
        return reconstruction_likelihood(np.minimum(logs, 0.0), np.ones(logs.shape, np.bool_))

    curve: list[float] = []

    def seen(update: int, writing: Writing) -> None:
        curve.append(float(shown(writing.prompts, writing.completions).mean()))

    reinforce(
        policy,
        wishes,
        lambda writing: {"score": Column.full(scored(writing))},
        grpo(),
        seed,
        updates,
        members=4,
        length=CANVAS,
        on_update=seen,
    )
    writing = write(policy, wishes(np.random.default_rng(9000 + seed), 100), 4, CANVAS, generator)
    again = np.stack([scored(writing) for _ in range(8)])
    return {
        "shown on the way": float(np.mean(curve)),
        "shown at the end": float(shown(writing.prompts, writing.completions).mean()),
        "variance of a score": float(again.var(0).mean()),
    }


PROMPT_ECHO = Check(
    row=90,
    name="reconstruction-likelihood-reward",
    claim="Rewarded with how likely a frozen reader finds the wish, pictures come to show it sooner than rewarded "
    "with a sampled guess of the same reader that is right or wrong, and the score does not change when it is "
    "asked for again.",
    arms={"sampled guess": lambda seed: painted(seed, echo=False), "echo": lambda seed: painted(seed, echo=True)},
    holds=lambda found: (
        found.above("echo", "sampled guess", "shown on the way")
        and found.interval("echo", "variance of a score")[1] == 0
    ),
    units={"shown on the way": "share of strokes", "shown at the end": "share of strokes"},
)
