"""Checks of rewards by criteria: rules read off preferences, adaptive criteria for pairs, checklists of turns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Measured
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.judges.kinds.adaptive import MAX_STRENGTH, WEIGHTS, signed_score
from rewards.judges.kinds.adaptive import Found as Difference
from rewards.sources.checklists import turn_scores
from rewards.sources.rules import rule_share, telling_rules
from rewards.views.view import Config, RewardView

MEMBERS = 8
Bools = NDArray[np.bool_]

# Rules: a reward model that likes length, and rules that preferences tell apart from ones that say nothing.

BIAS = 0.5
"""What a completion of full length earns for its length alone, where covering the topic earns 1."""


def candidates(writing: Writing) -> NDArray[np.float64]:
    """Verdicts on candidate rules `[B, R]`: six that make answers good, one twice, and four that do not."""
    covered, said = attributes.coverage(writing), writing.length
    idle, again = attributes.padding(writing), attributes.repetition(writing)
    first = writing.completions[:, 0]
    rules = [
        covered >= 0.5, covered >= 0.75, covered >= 1.0, idle == 0, again == 0, (idle + again) <= 0.1,
        (covered >= 0.5) & (said > 0),
        said >= 6, said >= 9, first % 2 == 0, first > attributes.TOPICS * attributes.WORDS,
    ]  # fmt: skip
    return np.stack(rules, axis=1).astype(float)


@cache
def novice(seed: int) -> TinyPolicy:
    """A policy that says some words of the topic, and others."""
    random = np.random.default_rng(1000 + seed)
    asked = attributes.prompts(random, 256)
    topic = (asked[:, 0] - 1) // attributes.WORDS
    shown = np.full((len(asked), attributes.LENGTH), END)
    for row, t in enumerate(topic):
        on_topic = 1 + t * attributes.WORDS + random.permutation(attributes.WORDS)[: random.integers(1, 4)]
        other = random.integers(1, attributes.VOCABULARY, random.integers(1, 4))
        words = random.permutation(np.concatenate([on_topic, other]))
        shown[row, : len(words)] = words
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    imitate(policy, asked, shown, 80)
    return policy


def answered(seed: int, prompts: int) -> Writing:
    """Answers of the novice."""
    asked = attributes.prompts(np.random.default_rng(20_000 + seed), prompts)
    return write(novice(seed), asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))


def extracted(seed: int, pairs: int = 200) -> list[int]:
    """The rules that preferences by worth bear out."""
    writing = answered(seed, pairs)
    gold, verdicts = attributes.gold(writing).reshape(-1, 2), candidates(writing).reshape(pairs, 2, -1)
    better = gold.argmax(axis=1)
    rows = np.arange(pairs)[gold[:, 0] != gold[:, 1]]
    return telling_rules(verdicts[rows, better[rows]], verdicts[rows, 1 - better[rows]])


def ruled(seed: int, weights: tuple[float, float]) -> Measured:
    """Training with the biased reward model and the rules, weighted; and how they agree with unseen preferences."""
    kept = extracted(seed)

    def score(writing: Writing) -> NDArray[np.floating]:
        model = attributes.verbose_judge(writing, BIAS, noise=0.1, seed=seed)
        return weights[0] * model + weights[1] * rule_share(candidates(writing)[:, kept])

    policy = TinyPolicy(attributes.VOCABULARY, seed)
    policy.load_state_dict(novice(seed).state_dict())
    reinforce(
        policy,
        attributes.prompts,
        lambda writing: {"score": Column.full(score(writing))},
        grpo(),
        seed,
        updates=150,
        length=attributes.LENGTH,
    )
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    held_out = answered(seed + 50, 300)
    gold, said = attributes.gold(held_out).reshape(-1, 2), score(held_out).reshape(-1, 2)
    truth = np.sign(gold[:, 0] - gold[:, 1])
    right = 0.5 + 0.5 * truth * np.sign(said[:, 0] - said[:, 1])
    return {
        "gold": float(attributes.gold(found).mean()),
        "words": float(found.length.mean()),
        "pairs right": float(right[truth != 0].mean()),
        "rules kept": float(len(kept)),
    }


AUTORULE = Check(
    row=5,
    name="auto-extracted-rule-reward",
    claim="The share of rules that preferences bear out, added to a reward model that likes length, gives a higher "
    "gold score and shorter answers than the model alone; the rules alone put more unseen pairs in order than it does.",
    arms={
        "reward model": lambda seed: ruled(seed, (1.0, 0.0)),
        "with rules": lambda seed: ruled(seed, (1.0, 1.0)),
        "rules alone": lambda seed: ruled(seed, (0.0, 1.0)),
    },
    holds=lambda found: (
        found.above("with rules", "reward model", "gold")
        and found.below("with rules", "reward model", "words")
        and found.above("rules alone", "reward model", "pairs right")
    ),
    units={"words": "words"},
    seeds=3,
)


# Pairs: answers with a core and an important attribute, three of less weight, and sometimes a fatal flaw.

KINDS = ("core", "important", "highlight", "highlight", "highlight")
LOOK = 0.7
"""Standard deviation of one look at one attribute."""
MOOD = 0.7
"""Standard deviation of how mild a judge is in one reading: both answers of a pair share it."""
ORDER = 1.0
"""How much whoever is shown first looks better by each attribute."""
Way = Literal["adaptive", "no veto", "one order", "pointwise", "even-tempered"]


def compared(seed: int, way: Way, pairs: int = 2000) -> Measured:
    """Share of pairs in the right order, and how far turning a pair round is from turning its score round."""
    random = np.random.default_rng(seed)
    right, turned = [], []
    for _ in range(pairs):
        worth, fatal = random.integers(0, 4, (2, len(KINDS))), random.random(2) < 0.25
        weighted = sum(WEIGHTS[kind] * d for kind, d in zip(KINDS, (worth[0] - worth[1]).tolist(), strict=True))
        gold = 100.0 * (float(fatal[1]) - float(fatal[0])) or weighted
        if gold == 0:
            continue
        # Every way looks twice at each attribute of both answers: in two orders, or twice at each alone.
        looks = random.normal(0, LOOK, (2, 2, len(KINDS)))
        told = [_told(worth[[k, 1 - k]], fatal[[k, 1 - k]], looks[k], way) for k in (0, 1)]
        if way in ("pointwise", "even-tempered"):
            mood = MOOD * (way == "pointwise") * random.normal(size=(2, 2, 1))
            score = _alone(worth, fatal, looks + mood)
            back = -score
        elif way == "one order":
            score, back = told[0], told[1]
        else:
            score, back = (told[0] - told[1]) / 2, (told[1] - told[0]) / 2
        right.append(0.5 + 0.5 * np.sign(score * gold))
        turned.append(abs(score + back))
    return {"pairs right": float(np.mean(right)), "asymmetry": float(np.mean(turned))}


def _told(worth: NDArray[np.int64], fatal: Bools, looks: NDArray[np.float64], way: Way) -> float:
    """What a judge says of a pair that it reads in this order: only of the criteria on which the two differ."""
    differ = worth[0] - worth[1] + looks[0] - looks[1] + ORDER
    found = []
    for kind, difference in zip(KINDS, differ.tolist(), strict=True):
        strength = min(MAX_STRENGTH, abs(round(difference)))
        winner = "A" if difference > 0 else "B"
        if strength:
            found.append(Difference(criterion=kind, type=kind, winner=winner, strength=strength))
    if fatal[0] != fatal[1]:
        flaw = "critical_flaw" if way != "no veto" else "core"
        found.append(Difference(criterion="flaw", type=flaw, winner="B" if fatal[0] else "A", strength=MAX_STRENGTH))
    return signed_score(found)


def _alone(worth: NDArray[np.int64], fatal: Bools, looks: NDArray[np.float64]) -> float:
    """Weighted sums of grades that each answer gets alone, a flaw being one criterion among others."""
    weights = np.array([WEIGHTS[kind] for kind in KINDS])
    grades = worth + looks.mean(axis=0)
    return float(weights @ (grades[0] - grades[1])) + WEIGHTS["core"] * MAX_STRENGTH * (
        float(fatal[1]) - float(fatal[0])
    )


OPENRS = Check(
    row=28,
    name="pairwise-adaptive-rubric-judge",
    claim="With as many looks of the same noise, criteria on which two answers differ, with a veto and asked in both "
    "orders, put more pairs in order than without the veto, in one order, and than weighted sums of grades of each "
    "answer alone by a judge who is milder in some readings; turning a pair round turns its score round exactly.",
    arms={
        "adaptive, veto": lambda seed: compared(seed, "adaptive"),
        "without veto": lambda seed: compared(seed, "no veto"),
        "one order": lambda seed: compared(seed, "one order"),
        "pointwise": lambda seed: compared(seed, "pointwise"),
        "pointwise, even-tempered": lambda seed: compared(seed, "even-tempered"),
    },
    holds=lambda found: (
        all(found.above("adaptive, veto", other, "pairs right") for other in ("without veto", "one order", "pointwise"))
        and found.mean("adaptive, veto", "asymmetry") == 0
    ),
    units={"pairs right": "share of pairs"},
)


# Turns: in each a tool must be called, then its result be confirmed, and nothing else touched.

TURNS, STEPS, TOOLS = 3, 3, 4
CONFIRM, BREAK = 1 + TOOLS, 2 + TOOLS
WORDS = 3 + TOOLS
LENGTH = TURNS * STEPS
WRONG = 0.1
"""Chance that a judge errs about one criterion and one step."""


def dialogues(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """The tool of each turn `[n, TURNS]`."""
    return 1 + random.integers(0, TOOLS, (number, TURNS))


def criteria(writing: Writing) -> Bools:
    """Of each token: is it the turn's tool; is it the confirmation `[B, T, 2]`."""
    tool = np.repeat(writing.prompts, STEPS, axis=1)
    return np.stack([writing.completions == tool, writing.completions == CONFIRM], axis=-1) & writing.mask[..., None]


def done(writing: Writing, said: Bools) -> NDArray[np.float64]:
    """What is earned at each token, when it is first earned: half for the tool, half for confirming it `[B, T]`."""
    return _scores(writing, said, sparse=False)


def _scores(writing: Writing, said: Bools, sparse: bool) -> NDArray[np.float64]:
    turn = np.arange(len(said) * LENGTH) // STEPS  # all turns of all completions, one behind another
    earned = turn_scores(said.reshape(-1, 2), [0.5, 0.5], turn, {1: [0]}, sparse)
    return earned.reshape(len(said), LENGTH)


def succeeded(writing: Writing) -> NDArray[np.float64]:
    """1 where every turn is complete `[B]`."""
    found: NDArray[np.float64] = (done(writing, criteria(writing)).sum(-1) > TURNS - 1e-6).astype(float)
    return found


def helping(seed: int, way: Literal["turn", "step", "holistic"]) -> Measured:
    """Training a policy that knows the words, with a judge that errs."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(WORDS, seed)
    asked = dialogues(random, 128)
    imitate(policy, asked, random.integers(1, WORDS, (128, LENGTH)), 20)

    def components(writing: Writing) -> Mapping[str, Column]:
        said = criteria(writing)
        if way == "holistic":
            whole = succeeded(writing)
            return {"score": Column.full(np.where(random.random(len(whole)) < WRONG, 1 - whole, whole))}
        said = said ^ ((random.random(said.shape) < WRONG) & writing.mask[..., None])
        earned = _scores(writing, said, sparse=way == "turn")
        if way == "turn":  # what stands at the end of a turn is every token's of it
            earned = np.repeat(earned.reshape(len(said), TURNS, STEPS).sum(-1), STEPS, axis=1)
        return {"score": Column.full(writing.tokens(earned))}

    place: dict[str, Any] = {"part": "position_relative", "preset": "cm2", "of": "reward"}
    whole: dict[str, Any] = {"part": "group_relative", "preset": "grpo", "of": "reward"}
    config = {
        "name": "turns",
        "components": {"score": "episode" if way == "holistic" else "token"},
        "parts": [
            {"part": "weighted_sum", "coefficients": {"score": 1.0}},
            whole if way == "holistic" else place,
        ],
    }
    view = RewardView(Config.model_validate(config))
    curve: list[float] = []
    reinforce(
        policy, dialogues, components, view, seed, updates=200, members=MEMBERS, length=LENGTH,
        on_update=lambda update, writing: curve.append(float(succeeded(writing).mean())),
    )  # fmt: skip
    test = dialogues(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, test, 2, LENGTH, torch.Generator().manual_seed(seed))
    return {"success": float(succeeded(found).mean()), "success on the way": float(np.mean(curve))}


CM2 = Check(
    row=33,
    name="checklist-turn-reward",
    claim="With a judge that errs in a tenth of its verdicts, a checklist paid at the end of each turn, and compared "
    "turn by turn, gives more success than one score of the whole.",
    arms={
        "checklist a turn": lambda seed: helping(seed, "turn"),
        "checklist a step": lambda seed: helping(seed, "step"),
        "one score": lambda seed: helping(seed, "holistic"),
    },
    holds=lambda found: found.above("checklist a turn", "one score", "success"),
    units={"success": "share of dialogues", "success on the way": "share of dialogues"},
    seeds=3,
)
