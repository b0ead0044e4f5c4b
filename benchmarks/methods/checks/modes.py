"""Checks of judges that may veto, of modes of answering, and of unequal penalties, on a menu of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.menu import Floats, softmax, trained, view
from learners.objectives.constrained import best_feasible
from rewards.columns import Column
from rewards.sources.decisions import collapsed, decision_reward
from rewards.views.layout import Level

Part = Mapping[str, Any]
Ints = NDArray[np.int64]

# --- 198: judges that may veto ---------------------------------------------------------------------------------------

OPEN, VERIFIABLE, ANSWERS = 8, 8, 12
"""Prompts of either task, and answers to each."""


class TwoTasks:
    """Open questions with a reward model that can be hacked, and others that can be checked."""

    def __init__(self, seed: int) -> None:
        """Rewards, and which answers the judges of each task accept `[P, A]`."""
        random = np.random.default_rng(seed)
        number = OPEN + VERIFIABLE
        self.task = np.arange(number) >= OPEN
        self.reward = random.normal(size=(number, ANSWERS))
        self.feasible = random.random((number, ANSWERS)) > 0.25
        # What breaks a rule pleases the model of open questions; of the others a quarter is right.
        self.reward = np.where(~self.task[:, None] & ~self.feasible, self.reward + 2.0, self.reward)
        right = random.random((number, ANSWERS)) < 0.25
        right[np.arange(number), random.integers(0, ANSWERS, number)] = True
        self.feasible = np.where(self.task[:, None], right, self.feasible)
        self.reference = self.reward.mean(1)
        self.calibrated = 1 / (1 + np.exp(self.reference[:, None] - self.reward))

    def found(self, chances: Floats) -> Mapping[str, float]:
        """What a policy `[P, A]` does."""
        accepted = (chances * self.feasible).sum(1)
        return {
            "calibrated reward, open": float((chances * self.calibrated).sum(1)[~self.task].mean()),
            "violations, open": float(1 - accepted[~self.task].mean()),
            "right, verifiable": float(accepted[self.task].mean()),
        }


def vetoed(seed: int, levels: Mapping[str, Level], *parts: Part) -> Mapping[str, float]:
    """Policy gradient with a view of the columns `model`, `reference` and `accepted`."""
    world = TwoTasks(seed)

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        found = {
            "model": Column.full(world.reward[prompt, picked]),
            "reference": Column.full(world.reference[prompt]),
            "accepted": Column.full(world.feasible[prompt, picked]),
        }
        return {name: found[name] for name in levels}

    start = np.zeros(world.reward.shape)
    return world.found(trained(start, judged, view(levels, *parts), seed, updates=400, groups=16))


def imitated(seed: int, updates: int = 400, members: int = 8, rate: float = 0.25) -> Mapping[str, float]:
    """CRRAFT: of a few answers to each prompt, the best one that all judges accept is imitated, by its reward."""
    world, random = TwoTasks(seed), np.random.default_rng(seed)
    logits, prompts = np.zeros(world.reward.shape), np.arange(OPEN + VERIFIABLE)
    for _ in range(updates):
        chances = softmax(logits)
        drawn = random.random((len(prompts), members, 1))
        picked = (chances.cumsum(-1)[:, None] > drawn).argmax(-1)
        rewards, feasible = world.calibrated[prompts[:, None], picked], world.feasible[prompts[:, None], picked]
        best = best_feasible(torch.as_tensor(rewards), torch.as_tensor(feasible)).numpy()
        there = best >= 0
        chosen, weight = picked[prompts, best], np.where(there, rewards[prompts, best], 0.0)
        logits += rate * weight[:, None] * (np.eye(ANSWERS)[chosen] - chances)
    return world.found(softmax(logits))


MODEL: Mapping[str, Level] = {"model": "episode", "reference": "episode"}
CGPO_PARTS: tuple[Part, ...] = (
    {"part": "reference_relative", "preset": "cgpo", "of": "model", "to": "reward"},
    {"part": "gate", "of": "reward", "by": "accepted", "least": 0.5},
    {"part": "group_relative", "preset": "crpg", "of": "reward"},
)

CGPO = Check(
    row=198,
    name="mixture-of-judges-constrained-rl",
    claim="With open questions whose reward model is pleased by what judges forbid, and verifiable ones, the reward "
    "alone ends in more violations than it began with (a quarter); with judges that may veto, by policy "
    "gradient or by imitation of the best accepted answer, there are fewer than at first, the reward rises, and "
    "more verifiable answers are right.",
    arms={
        "reward alone": lambda seed: vetoed(
            seed,
            MODEL,
            {"part": "reference_relative", "preset": "cgpo", "of": "model", "to": "reward"},
            {"part": "group_relative", "preset": "crpg", "of": "reward"},
        ),
        "CRPG": lambda seed: vetoed(seed, {**MODEL, "accepted": "episode"}, *CGPO_PARTS),
        "CRRAFT": imitated,
    },
    holds=lambda found: (
        found.interval("reward alone", "violations, open")[0] > 0.25
        and all(
            found.interval(arm, "violations, open")[1] < 0.25
            and found.interval(arm, "calibrated reward, open")[0] > 0.5
            and found.above(arm, "reward alone", "right, verifiable")
            for arm in ("CRPG", "CRRAFT")
        )
    ),
    units={"violations, open": "share of answers", "right, verifiable": "share of answers"},
)

# --- 194: to think or not --------------------------------------------------------------------------------------------

EASY, HARD, LENGTHS = 8, 8, np.array([2.0, 2.5, 3.0, 8.0, 12.0, 16.0])
"""Prompts of either kind, and how long six ways to answer are: three straight, three that think first."""
THOUGHT = LENGTHS > 4


def modes(seed: int, *parts: Part, start: float = 0.0, updates: int = 500) -> Mapping[str, float]:
    """Right answers, lengths, and how often easy and hard questions are thought about.

    Args:
        seed: of chances and sampling.
        *parts: of the view, from the columns `right`, `thought` and `length`.
        start: how much likelier thinking is at first, in nats.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    hard = np.arange(EASY + HARD) >= EASY
    chance = np.where(THOUGHT, 0.95, np.where(hard[:, None], 0.25, 0.9)) + random.uniform(-0.04, 0.04, (16, 6))

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        return {
            "right": Column.full(random.random(len(picked)) < chance[prompt, picked]),
            "thought": Column.full(THOUGHT[picked]),
            "length": Column.full(LENGTHS[picked]),
        }

    levels: dict[str, Level] = {"right": "episode", "thought": "episode", "length": "episode"}
    started = np.broadcast_to(np.where(THOUGHT, start, 0.0), (16, 6))
    chances = trained(started, judged, view(levels, *parts), seed, updates=updates, groups=16, rate=1.0)
    thought = (chances * THOUGHT).sum(1)
    return {
        "right": float((chances * chance).sum(1).mean()),
        "length": float((chances * LENGTHS).sum(1).mean()),
        "thought, easy": float(thought[~hard].mean()),
        "thought, hard": float(thought[hard].mean()),
    }


def auto(*extra: Part, preset: str = "autothink_balance") -> list[Part]:
    """AutoThink's reward with its advantage."""
    return [
        {"part": "mode_balance", "preset": preset, "of": "right", "to": "reward"},
        *extra,
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    ]


UNUSED: list[Part] = [
    {"part": "scale", "of": "thought", "factor": 0.0, "to": "none"},
    {"part": "scale", "of": "length", "factor": 0.0, "to": "nothing"},
]

AUTO_THINK = Check(
    row=194,
    name="adaptive-thinking-reward",
    claim="A policy that thinks nearly always at first comes, with rewards by mode, balance and length, to be right "
    "as often as with the plain reward (within 0.03) in at most 70 % of its length, and thinks more about hard "
    "questions than about easy ones by more than 0.3; without the balance thinking ends on hard questions too.",
    arms={
        "right or wrong": lambda seed: modes(
            seed,
            *UNUSED,
            {"part": "weighted_sum", "coefficients": {"right": 1.0}},
            {"part": "group_relative", "preset": "grpo", "of": "reward"},
            start=2.0,
        ),
        "base only": lambda seed: modes(seed, *UNUSED[1:], *auto(preset="autothink_base"), start=2.0),
        "balance": lambda seed: modes(seed, *UNUSED[1:], *auto(), start=2.0),
        "balance and length": lambda seed: modes(
            seed, *auto({"part": "length_contrast", "preset": "autothink_length", "of": "reward"}), start=2.0
        ),
    },
    holds=lambda found: (
        (found.difference("balance and length", "right or wrong", "right").low or 0.0) > -0.03
        and found.mean("balance and length", "length") <= 0.7 * found.mean("right or wrong", "length")
        and found.mean("balance and length", "thought, hard") - found.mean("balance and length", "thought, easy") > 0.3
        and found.above("balance and length", "base only", "thought, hard")
    ),
    units={"right": "share of answers", "length": "tokens"},
)

# --- 181: penalties that are out of proportion -----------------------------------------------------------------------

PEOPLE, FIT = 24, 0.2
"""Kinds of applications, and the share of fit ones among all."""


def decided(seed: int, penalty: float, balanced: bool, anchor: float = 0.0) -> Mapping[str, float]:
    """Recall and precision of a policy that decides by how fit an application looks.

    Args:
        seed: of looks and sampling.
        penalty: what accepting the unfit costs, where a right decision earns 1; refusing the fit costs 1.
        balanced: whether each class counts by its inverse share.
        anchor: price of leaving the first policy, in rewards a nat.
    """
    random = np.random.default_rng(seed)
    look = np.linspace(-2.0, 2.0, PEOPLE)
    fit = 1 / (1 + np.exp(-look - np.log(FIT / (1 - FIT)) + random.normal(0, 0.2, PEOPLE)))  # looks tell little
    share = float(fit.mean())
    start = np.stack([np.zeros(PEOPLE), look], -1)  # taught to accept what looks fit
    first = np.log(softmax(start))
    weights = (0.5 / (1 - share), 0.5 / share) if balanced else (1.0, 1.0)
    now: list[Floats] = [first]

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        actual = (random.random(len(prompt)) < fit[prompt]).astype(np.int64)
        bonus, cost = np.array(weights), np.array([penalty, 1.0]) * np.array(weights)
        paid = decision_reward(picked, actual, bonus, cost)
        return {"score": Column.full(paid - anchor * (now[-1] - first)[prompt, picked])}

    def seen(chances: Floats) -> None:
        now[0] = np.log(np.maximum(chances, 1e-12))

    parts: tuple[Part, ...] = (
        {"part": "weighted_sum", "coefficients": {"score": 1.0}},
        {"part": "group_relative", "preset": "dr_grpo", "of": "reward"},
    )
    chances = trained(start, judged, view({"score": "episode"}, *parts), seed, updates=600, rate=1.0, on_update=seen)

    def told(chances: Floats) -> tuple[float, float]:
        accepted = chances[:, 1]
        return float((accepted * fit).sum() / fit.sum()), float((accepted * fit).sum() / max(accepted.sum(), 1e-9))

    recall, precision = told(chances)
    was_recall, was_precision = told(softmax(start))
    alarm = collapsed(float(chances[:, 1].mean()), share, 0.15)
    return {
        "recall": recall,
        "precision": precision,
        "recall over the first policy": recall - was_recall,
        "precision over the first policy": precision - was_precision,
        "alarm": float(alarm),
    }


POLISH = Check(
    row=181,
    name="gentle-polish-reward",
    claim="With a penalty of 5 for accepting the unfit, recall falls below 0.1; with equal penalties, balanced "
    "classes and a price for leaving the first policy, recall and precision both rise over it.",
    arms={
        "penalty 5": lambda seed: decided(seed, 5.0, balanced=False),
        "penalty 1": lambda seed: decided(seed, 1.0, balanced=False),
        "gentle": lambda seed: decided(seed, 1.0, balanced=True, anchor=0.1),
    },
    holds=lambda found: (
        found.interval("penalty 5", "recall")[1] < 0.1
        and found.interval("gentle", "recall over the first policy")[0] > 0
        and found.interval("gentle", "precision over the first policy")[0] > 0
    ),
    units={"alarm": "1 where the monitor sees a collapse"},
)
