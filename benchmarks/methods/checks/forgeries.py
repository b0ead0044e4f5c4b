"""Check of a judge that is sharpened against someone who hides flaws: texts of words, some of which spoil them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, Writing, imitate, reinforce
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.adversarial_principles import AdversarialPrinciples, Ruling, Sample

WORDS, FLAWS, LENGTH, KNOWN = 24, 8, 6, 2
FIRST = WORDS - FLAWS
"""The last eight words spoil a text; the judge knows two of them to begin with."""
PAIRS = 24
Ints = NDArray[np.int64]


def text(words: Ints) -> str:
    """Words as a text."""
    return " ".join(f"w{word}" for word in words.tolist())


def clean(random: np.random.Generator, number: int) -> Ints:
    """Texts without a flaw `[n, LENGTH]`."""
    return random.integers(1, FIRST, (number, LENGTH))


def spoilt(random: np.random.Generator, number: int, chances: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Texts with one flaw each `[n, LENGTH]`, and which `[n]`."""
    found, flaw = clean(random, number), FIRST + random.choice(FLAWS, number, p=chances)
    found[np.arange(number), random.integers(0, LENGTH, number)] = flaw
    return found, flaw


def judge(principles: Sequence[str], words: str) -> Ruling:
    """Bad where a word is that a principle names."""
    found = [word for word in words.split() if word in principles]
    return Ruling(not found, " ".join(found), f"leave {found[0]} out" if found else "")


def tuned(seed: int, rounds: int, adaptive: bool = True) -> AdversarialPrinciples:
    """The game: the other side leaves flaws that were caught; without adaptation it goes on with its favourites."""
    random = np.random.default_rng(800 + seed)
    game = AdversarialPrinciples([f"w{FIRST + k}" for k in range(KNOWN)])
    favourite = 0.3 ** np.arange(FLAWS)

    def forge(strategies: Sequence[str], number: int) -> list[Sample]:
        chances = favourite * [f"w{FIRST + k}" not in strategies for k in range(FLAWS)] if adaptive else favourite
        chances = favourite if chances.sum() == 0 else chances
        texts, flaws = spoilt(random, number, chances / chances.sum())
        return [Sample(text(one), f"w{flaw}") for one, flaw in zip(texts, flaws, strict=True)]

    for _ in range(rounds):
        game.play(
            judge,
            forge,
            lambda _, lost: [one.flaw for one, _ruling in lost if one.flaw],
            lambda _, lost: [one.flaw for one, _ruling in lost],
            [text(one) for one in clean(random, 8)],
        )
    return game


def paired(seed: int) -> NDArray[np.float64]:
    """Weights of words `[WORDS]` of a Bradley-Terry model of pairs, good against spoilt by favourite flaws."""
    random = np.random.default_rng(900 + seed)
    chances = 0.3 ** np.arange(FLAWS)
    good, bad = clean(random, PAIRS), spoilt(random, PAIRS, chances / chances.sum())[0]
    apart = (np.eye(WORDS)[good] - np.eye(WORDS)[bad]).sum(1)
    weights = np.zeros(WORDS)
    for _ in range(300):
        miss = 1 / (1 + np.exp(apart @ weights))
        weights = weights + 0.5 * (apart.T @ miss / PAIRS - 0.01 * weights)
    return weights


def sharpened(seed: int, arm: str) -> Mapping[str, float]:
    """How often flaws of all kinds are seen, and how many are in what a policy writes that is rewarded.

    Args:
        seed: of everything.
        arm: `initial` principles, `pairs` (a model trained on them), `fixed` (the game without adaptation), or `game`.
    """
    random, policy = np.random.default_rng(seed), TinyPolicy(WORDS, seed)
    game = tuned(seed, {"game": 16, "fixed": 16}.get(arm, 0), adaptive=arm == "game")
    weights = paired(seed)
    held, uniform = np.random.default_rng(5_000 + seed), np.full(FLAWS, 1 / FLAWS)
    tests = [(words, False) for words in spoilt(held, 200, uniform)[0]] + [(words, True) for words in clean(held, 200)]
    middle = float(np.median([weights[words].sum() for words, _ in tests]))

    def reward(words: Ints) -> float:
        return float(weights[words].sum()) if arm == "pairs" else game.reward(judge, text(words))

    def found_good(words: Ints) -> bool:
        return reward(words) > (middle if arm == "pairs" else 0.5)

    start = random.integers(1, WORDS, (256, LENGTH))
    imitate(policy, np.ones((256, 1), np.int64), start, 40)
    spoils: list[float] = []

    def judged(writing: Writing) -> Mapping[str, Column]:
        return {"score": Column.full([reward(words) for words in writing.completions])}

    reinforce(
        policy,
        lambda random, number: np.ones((number, 1), np.int64),
        judged,
        grpo(),
        seed,
        updates=120,
        length=LENGTH,
        on_update=lambda _, writing: spoils.append(float((writing.completions >= FIRST).any(-1).mean())),
    )
    return {
        "seen": float(np.mean([found_good(words) == good for words, good in tests])),
        "spoilt": float(np.mean(spoils[-20:])),
    }


def _sharper(found: Found) -> bool:
    return all(
        found.above("tuned by the game", other, "seen") and found.below("tuned by the game", other, "spoilt")
        for other in ("initial principles", "trained on pairs")
    )


IGNITING = Check(
    row=201,
    name="adversarially-tuned-judge",
    claim="After 16 rounds against someone who hides flaws, a judge is right about more texts with all kinds of flaws "
    "than with its first principles and than a model trained on pairs, and a policy it rewards writes fewer flaws.",
    arms={
        "initial principles": lambda seed: sharpened(seed, "initial"),
        "trained on pairs": lambda seed: sharpened(seed, "pairs"),
        "tuned without adaptation": lambda seed: sharpened(seed, "fixed"),
        "tuned by the game": lambda seed: sharpened(seed, "game"),
    },
    holds=_sharper,
    units={"seen": "share of texts", "spoilt": "share of texts"},
)
