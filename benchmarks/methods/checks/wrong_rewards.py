"""Checks of rewards that are wrong (turned round, noisy, drawn by chance), and of what is gained all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from statistics import NormalDist
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.evaluation.contamination import contamination
from rewards.evaluation.noise import flip_by_question, kept_gain
from rewards.sources.spurious import inverted, random_rewards
from rewards.verifiers.quantities import nearness
from rewards.verifiers.reasoning_patterns import reasoning_patterns
from rewards.views.view import Config, RewardView

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- 126: questions with a thought of a few phrases before the answer ------------------------------------------------

QUESTIONS, ANSWERS, PLACES, MEMBERS = 64, 5, 4, 8
PHRASES = ("first we need to", "we know that", "let me check", "as a result")
IDLE = ("so to speak", "it is what it is")
SAID = (*PHRASES, *IDLE)
RIGHT = np.arange(QUESTIONS) % ANSWERS
UPDATES = 300


def phrases(forms: Ints) -> Ints:
    """How many different phrases of thinking stand in the thoughts `[B]`."""
    found: Ints = np.stack([(forms[:, :PLACES] == k).any(1) for k in range(len(PHRASES))]).sum(0)
    return found


def thinker(taught: bool) -> Form:
    """A policy that writes a thought in PLACES pieces, idly for the most part, and then answers.

    One who was taught gives each question's right answer the more often, the more phrases of thinking went before; the
    other has all answers still to learn.
    """
    habit = np.array([[0.0] * len(PHRASES) + [1.5] * len(IDLE)])
    thought = Field(len(SAID), 1, lambda prompt, filled: np.zeros_like(prompt), habit)
    knowledge = np.zeros((QUESTIONS, PLACES + 1, ANSWERS))
    if taught:
        knowledge[np.arange(QUESTIONS), :, RIGHT] = np.arange(PLACES + 1)
    rows = QUESTIONS * (PLACES + 1)
    answer = Field(
        ANSWERS, rows, lambda prompt, filled: prompt * (PLACES + 1) + phrases(filled), knowledge.reshape(rows, ANSWERS)
    )
    return Form([thought] * PLACES + [answer])


def right(prompt: Ints, forms: Ints) -> Floats:
    """1 where the answer is right `[B]`."""
    found: Floats = (forms[:, PLACES] == RIGHT[prompt]).astype(np.float64)
    return found


def patterns(forms: Ints) -> Floats:
    """The reward of reasoning patterns, of the thoughts as text `[B]`."""
    texts = [" ".join(SAID[piece] for piece in form[:PLACES]) for form in forms]
    return np.array([reasoning_patterns(text, PHRASES, ngram=6) for text in texts])


def reward_model(seed: int, accuracy: float) -> Floats:
    """Scores between 0 and 1 of all answers `[QUESTIONS, ANSWERS]`, right of a share `accuracy` of the pairs.

    It sees the answer and not the thought, and always errs in the same places.
    """
    spread = 0.25
    apart = spread * 2**0.5 * NormalDist().inv_cdf(accuracy)
    scores = 0.5 - apart / 2 + spread * np.random.default_rng(700 + seed).normal(size=(QUESTIONS, ANSWERS))
    scores[np.arange(QUESTIONS), RIGHT] += apart
    return np.clip(scores, 0.0, 1.0)


def calibrated() -> RewardView:
    """A score that the pattern makes up for where it is low, compared within groups."""
    parts = [
        {"part": "compensated", "preset": "rpr", "of": ["score", "pattern"]},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    ]
    levels = {"score": "episode", "pattern": "episode"}
    return RewardView(Config.model_validate({"name": "calibrated", "components": levels, "parts": parts}))


def noisy(
    seed: int,
    paid: Literal["right", "pattern", "model", "calibrated"] = "right",
    flips: float = 0.0,
    accuracy: float = 0.65,
    taught: bool = True,
) -> Measured:
    """Training with a reward that is not to be relied on.

    Args:
        seed: of sampling, and of the reward model's errors.
        paid: being right, phrases alone, what a reward model says, or that with the phrases' help.
        flips: share of the questions whose rewards are turned round.
        accuracy: of the reward model.
        taught: whether the policy knows answers that come with thinking.
    """
    form, scores = thinker(taught), reward_model(seed, accuracy)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        if paid == "pattern":
            return {"score": Column.full(patterns(forms))}
        if paid == "right":
            question = np.arange(len(prompt)) // MEMBERS
            return {"score": Column.full(flip_by_question(right(prompt, forms), question, flips, random))}
        score = Column.full(scores[prompt, forms[:, PLACES]])
        return {"score": score, "pattern": Column.full(patterns(forms))} if paid == "calibrated" else {"score": score}

    asked = np.repeat(np.arange(QUESTIONS), MEMBERS)
    before = form.filled(asked, np.random.default_rng(8000 + seed))
    view = calibrated() if paid == "calibrated" else grpo()
    trained(form, QUESTIONS, judged, view, seed, UPDATES, members=MEMBERS)
    after = form.filled(asked, np.random.default_rng(9000 + seed))
    return {
        "accuracy before": float(right(asked, before).mean()),
        "accuracy": float(right(asked, after).mean()),
        "phrases": float(phrases(after).mean()),
    }


def _kept(found: Found, clean: str, arm: str) -> float:
    """Share of the gain with clean rewards that is left; NaN where they gain nothing."""
    before, best, left = (
        found.mean(clean, "accuracy before"),
        found.mean(clean, "accuracy"),
        found.mean(arm, "accuracy"),
    )
    kept = kept_gain(before, best, left)
    return float("nan") if kept is None else kept


def _robust_and_helped(found: Found) -> bool:
    return (
        _kept(found, "p = 0", "p = 0.4") > 0.75
        and _kept(found, "p = 0", "p = 0.5") < 0.25
        and _kept(found, "untaught, p = 0", "untaught, p = 0.4") < 0.5
        and found.above("65 % model, calibrated", "65 % model", "accuracy")
        and _kept(found, "p = 0", "patterns alone") > 0.75
    )


NOISY_REWARDS = Check(
    row=126,
    name="reward-noise-robustness-and-pattern-reward",
    claim="With 40 % of the questions' rewards turned round, a policy that was taught keeps more than three quarters "
    "of its gain, and one that has its answers still to learn less than half; with 50 % less than a quarter is left. "
    "Phrases of thinking alone bring three quarters, and help a reward model that is right of 65 % of the pairs.",
    arms={
        "p = 0": lambda seed: noisy(seed),
        "p = 0.2": lambda seed: noisy(seed, flips=0.2),
        "p = 0.4": lambda seed: noisy(seed, flips=0.4),
        "p = 0.5": lambda seed: noisy(seed, flips=0.5),
        "untaught, p = 0": lambda seed: noisy(seed, taught=False),
        "untaught, p = 0.4": lambda seed: noisy(seed, flips=0.4, taught=False),
        "patterns alone": lambda seed: noisy(seed, "pattern"),
        "65 % model": lambda seed: noisy(seed, "model"),
        "65 % model, calibrated": lambda seed: noisy(seed, "calibrated"),
        "85 % model": lambda seed: noisy(seed, "model", accuracy=0.85),
    },
    holds=_robust_and_helped,
    units={"accuracy before": "share of answers", "accuracy": "share of answers", "phrases": "phrases"},
)


# --- 161: sums that one copy of a model has seen before ---------------------------------------------------------------

TERMS, LARGEST = 3, 10
LEAKED, LESSONS = 30, 40
"""Pairs of first numbers of the benchmark's questions, and of the lessons; the other pairs are fresh."""
TAUGHT, REPEATS = 200, 4
"""Lessons that are read, and how often a text that leaked stands among them."""
SIGNS = {END: "", arithmetic.PLUS: "+"} | {arithmetic.DIGIT + digit: str(digit) for digit in range(10)}
TOKENS = {sign: token for token, sign in SIGNS.items()}


class Sums:
    """Sums of three digits, apart by their first two: the benchmark, lessons, others, and fresh ones in two halves."""

    def __init__(self, seed: int) -> None:
        """Drawn from `seed`."""
        random = np.random.default_rng(600 + seed)
        pairs = np.stack(np.divmod(random.permutation(LARGEST**2), LARGEST), axis=1)
        groups = np.split(pairs, [LEAKED, LEAKED + LESSONS])
        self.benchmark = self._ended(groups[0], random.integers(0, LARGEST, (LEAKED, 1)))
        lessons = self._all(groups[1])[random.permutation(LESSONS * LARGEST)]
        self.lessons, self.others = lessons[:TAUGHT], lessons[-LEAKED:]
        cut = len(groups[2]) // 2
        self.practice, self.fresh = self._all(groups[2][:cut]), self._all(groups[2][cut:])

    @staticmethod
    def _ended(pairs: Ints, last: Ints) -> Ints:
        return arithmetic.written(np.concatenate([pairs, last], axis=1))

    def _all(self, pairs: Ints) -> Ints:
        """With every last number."""
        return self._ended(np.repeat(pairs, LARGEST, axis=0), np.tile(np.arange(LARGEST), len(pairs))[:, None])


@cache
def reader(seed: int, leaked: bool) -> TinyPolicy:
    """A model that has read sums with their answers: lessons, and the benchmark or as many others several times."""
    sums, policy = Sums(seed), TinyPolicy(arithmetic.VOCABULARY, seed)
    often = sums.benchmark if leaked else sums.others
    read = np.concatenate([sums.lessons, *[often] * REPEATS])
    texts = np.concatenate([read, arithmetic.answers(read)], axis=1)
    imitate(policy, texts[:, :1], texts[:, 1:], steps=250, rate=1e-2)
    return policy


def text(tokens: Ints) -> str:
    """Tokens as words."""
    return " ".join(SIGNS[token] for token in tokens.tolist() if token != END)


def known_by_heart(policy: TinyPolicy, sums: Sums) -> Measured:
    """What a model makes of beginnings of the benchmark's questions."""

    def complete(shown: Sequence[str]) -> list[str]:
        begun = torch.as_tensor([[TOKENS[sign] for sign in one.split()] for one in shown])
        length = sums.benchmark.shape[1] - begun.shape[1] + arithmetic.LENGTH
        return [text(one) for one in policy.write(begun, length, torch.Generator(), greedy=True).numpy()]

    answers = [text(one) for one in arithmetic.answers(sums.benchmark)]
    found = contamination([text(one) for one in sums.benchmark], answers, complete, (0.6, 0.4))
    return {f"completed from {share:.0%}": found[share].exact.value or 0.0 for share in found}


def near(writing: Writing) -> Floats:
    """How near each answer is to the right one; what is no number earns nothing `[B]`."""
    return np.nan_to_num(nearness(arithmetic.said(writing.completions), arithmetic.value(writing.prompts)))


def tested(policy: TinyPolicy, sums: Sums, seed: int) -> tuple[float, float]:
    """Share of sampled answers to the benchmark that are right, and how near those to fresh sums are."""
    known, fresh = (
        write(policy, asked, MEMBERS, arithmetic.LENGTH, torch.Generator().manual_seed(seed))
        for asked in (sums.benchmark, sums.fresh)
    )
    return float(arithmetic.right(known).mean()), float(near(fresh).mean())


def rewarded(seed: int, leaked: bool, paid: Literal["correct", "random", "inverted"]) -> Measured:
    """GRPO on questions of the benchmark and fresh ones in equal parts, and what is gained on both kinds.

    Args:
        seed: of everything.
        leaked: whether the model has read the benchmark.
        paid: nearness to the answer, 1 by chance, or being wrong.
    """
    sums, chance = Sums(seed), np.random.default_rng(500 + seed)
    policy = deepcopy(reader(seed, leaked))

    def asked(random: np.random.Generator, number: int) -> Ints:
        halves = (sums.benchmark, number // 2), (sums.practice, number - number // 2)
        return np.concatenate([kind[random.integers(0, len(kind), count)] for kind, count in halves])

    def judged(writing: Writing) -> Mapping[str, Column]:
        if paid == "random":
            return {"score": Column.full(random_rewards(len(writing.prompts), chance))}
        if paid == "inverted":
            return {"score": Column.full(inverted(arithmetic.right(writing)))}
        return {"score": Column.full(near(writing))}

    before, heart = tested(policy, sums, seed), known_by_heart(policy, sums)
    reinforce(policy, asked, judged, grpo(), seed, updates=60, length=arithmetic.LENGTH, rate=1e-3, steps=4)
    after = tested(policy, sums, seed)
    return {
        **heart,
        "benchmark before": before[0],
        "gain on the benchmark": after[0] - before[0],
        "fresh before": before[1],
        "gain on fresh sums": after[1] - before[1],
    }


def _only_where_it_leaked(found: Found) -> bool:
    def gains(arm: str, on: str) -> bool:
        return found.interval(arm, f"gain on {on}")[0] > 0

    wrong = ("leaked, random", "clean, random", "clean, inverted")
    return (
        found.interval("leaked, random", "completed from 60%")[0] > 0.8
        and found.interval("clean, random", "completed from 60%")[1] < 0.3
        and gains("leaked, random", "the benchmark")
        and not gains("clean, random", "the benchmark")
        and gains("leaked, correct", "fresh sums")
        and gains("clean, correct", "fresh sums")
        and not any(gains(arm, "fresh sums") for arm in wrong)
    )


RANDOM_CALCULATION = Check(
    row=161,
    name="contamination-free-rlvr-probe",
    claim="Shown 60 % of each question, a model that has read the benchmark completes more than 0.8 of it, and one "
    "that has not less than 0.3. Random rewards raise accuracy on the benchmark for the first alone, and only the "
    "correct reward brings answers to fresh sums nearer, for both.",
    arms={
        "leaked, correct": lambda seed: rewarded(seed, True, "correct"),
        "leaked, random": lambda seed: rewarded(seed, True, "random"),
        "clean, correct": lambda seed: rewarded(seed, False, "correct"),
        "clean, random": lambda seed: rewarded(seed, False, "random"),
        "clean, inverted": lambda seed: rewarded(seed, False, "inverted"),
    },
    holds=_only_where_it_leaked,
    units={
        "completed from 60%": "share of questions",
        "completed from 40%": "share of questions",
        "benchmark before": "share of answers",
        "gain on the benchmark": "share of answers",
        "fresh before": "nearness",
        "gain on fresh sums": "nearness",
    },
    seeds=3,
)
