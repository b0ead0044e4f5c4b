"""Checks of rewards from what one text says of another: answers of questions, pictures of wishes, thoughts of texts."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, mask_of, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.information import reconstruction_likelihood, self_aligned, thought_gain

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
    arms={arm: (lambda seed, arm=arm: concise(seed, arm)) for arm in ("correct", "length penalty", "SAR")},
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

# --- 113: thoughts that foretell the text ----------------------------------------------------------------------------

MODULUS, GIVEN = 7, 3
THINK = 1 + MODULUS
"""The first of the words of thought; one for each partial sum."""
SCRIPT = THINK + MODULUS
MARK = SCRIPT
"""Stands between the text so far and what follows, where nothing is thought."""


def running(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """Three digits `[n, 3]`, and what follows: their sum modulo 7 `[n]`, as tokens."""
    digits = random.integers(0, MODULUS, (number, GIVEN))
    return 1 + digits, 1 + digits.sum(-1) % MODULUS


def scratch(given: Ints) -> Ints:
    """The partial sums that a useful thought would name `[n, 2]`."""
    sums: Ints = np.cumsum(given - 1, axis=1)[:, 1:] % MODULUS
    return THINK + sums


@cache
def reader_of_text(seed: int) -> TinyPolicy:
    """A policy that has read texts, some with thoughts in them, half of them to the point; it may not be trained."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(SCRIPT + 1, seed)
    number = 1500
    given, follows = running(random, number)
    useful = random.random((number, 1)) < 0.5
    thoughts = np.where(useful, scratch(given), THINK + random.integers(0, MODULUS, (number, GIVEN - 1)))
    silent = random.random((number, 1)) < 0.2
    thoughts = np.where(silent, MARK, thoughts)
    imitate(policy, given, np.concatenate([thoughts, follows[:, None]], axis=1), 200)
    return policy


def thoughtful(seed: int, think: bool, updates: int = 150, groups: int = 16, members: int = 16) -> Mapping[str, float]:
    """Accuracy on what follows, with a thought before it or without, after equally many steps.

    Args:
        seed: of everything.
        think: whether thoughts are trained by what they add; else next tokens are, without thinking.
        updates: gradient steps.
        groups: texts of a batch.
        members: thoughts about each; without thinking, as many texts more.
    """
    policy, random = deepcopy(reader_of_text(seed)), np.random.default_rng(seed)
    slow, generator = deepcopy(policy), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), 2e-3)
    gains: list[float] = []
    for _ in range(updates):
        given, follows = (torch.as_tensor(a) for a in running(random, groups if think else groups * members))
        if think:
            asked, next_token = given.repeat_interleave(members, 0), follows.repeat_interleave(members)[:, None]
            thoughts = policy.write(asked, GIVEN - 1, generator)
            with torch.no_grad():
                after = policy.log_probs(asked, torch.cat([thoughts, next_token], 1))[:, -1].view(groups, members)
                marks = torch.full((groups, GIVEN - 1), MARK)
                before = slow.log_probs(given, torch.cat([marks, follows[:, None]], 1))[:, -1]
            gain = thought_gain(after.double().clamp(max=0).numpy(), before.double().clamp(max=0).numpy())
            gains.append(float(gain.mean()))
            apart = (gain - gain.mean(1, keepdims=True)) * members / (members - 1)
            logs = (policy.log_probs(asked, thoughts) * mask_of(thoughts)).sum(-1)
            loss = -(logs * torch.as_tensor(apart, dtype=torch.float32).flatten()).mean()
        else:
            marks = torch.full((len(given), GIVEN - 1), MARK)
            loss = -policy.log_probs(given, torch.cat([marks, follows[:, None]], 1))[:, -1].mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(slow.parameters(), policy.parameters(), strict=True):
                old.lerp_(new, 0.001)
    given, follows = (torch.as_tensor(a) for a in running(np.random.default_rng(9000 + seed), 1000))
    with torch.no_grad():
        written = policy.write(given, GIVEN - 1, generator) if think else torch.full((1000, GIVEN - 1), MARK)
        logits = policy.logits(given, torch.cat([written, follows[:, None]], 1))[:, -1]
    useful = (written.numpy() == scratch(given.numpy())).all(-1).mean()
    return {
        "accuracy": float((logits.argmax(-1) == follows).float().mean()),
        "gain of the last thoughts": float(np.mean(gains[-20:])) if gains else 0.0,
        "useful thoughts": float(useful),
    }


RLP = Check(
    row=113,
    name="next-token-information-gain",
    claim="After equally many steps over as many tokens, a policy whose thoughts were rewarded with what they add to "
    "foretelling a text gains more than nothing from them, and foretells better than one that went on learning "
    "next tokens.",
    arms={
        "next tokens": lambda seed: thoughtful(seed, think=False),
        "RLP": lambda seed: thoughtful(seed, think=True),
    },
    holds=lambda found: (
        found.interval("RLP", "gain of the last thoughts")[0] > 0 and found.above("RLP", "next tokens", "accuracy")
    ),
    units={"accuracy": "share of texts", "gain of the last thoughts": "nats"},
)
