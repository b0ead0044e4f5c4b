"""Checks of rewards that are differences of potentials: milestones on a grid, a search, and chains of sums."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Measured
from benchmarks.methods.worlds import tabular
from benchmarks.methods.worlds.language import TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.stages import in_order, with_potential
from rewards.columns import Column
from rewards.credit.likelihood import path_faithfulness, support
from rewards.views.view import Config, RewardView

Parts = list[dict[str, Any]]


def view(parts: Parts, levels: Mapping[str, str]) -> RewardView:
    """A view of these parts."""
    return RewardView(Config.model_validate({"name": "potentials", "components": levels, "parts": parts}))


# MiRA: milestones of a long task as a potential.

SIZE, STAGES = 5, 4


def stages(seed: int) -> tabular.MDP:
    """A grid of SIZE × SIZE with STAGES cells to be visited in order."""
    return in_order(np.random.default_rng(seed).permutation(SIZE * SIZE - 1)[:STAGES] + 1, SIZE)


def milestones(seed: int, how: str) -> Measured:
    """Q-learning with a potential; success over all episodes, and of the last quarter."""
    mdp = stages(seed)
    cells = SIZE * SIZE
    progress = np.append(np.repeat(np.arange(STAGES), cells) / STAGES, 1.0)
    wrong = np.append(np.random.default_rng(seed).random(STAGES * cells), 1.0)
    # What ends an episode has potential 0, so that the best policy stays the best whatever the milestones are.
    phi = {"none": progress, "milestones": progress, "wrong milestones": wrong}[how] * ~mdp.terminal
    reward = with_potential(mdp, phi, alpha=0.0 if how == "none" else 1.0)
    _, returns = tabular.q_learning(
        mdp, seed, episodes=150, longest=150, shaped=lambda s, a, after, r, ended: float(reward[s, a, after])
    )
    won = np.array(returns) > 0
    best = mdp.worth(mdp.solve())
    return {
        "success": float(won.mean()),
        "success of the last quarter": float(won[-len(won) // 4 :].mean()),
        "worth of the best policy": mdp.worth(mdp.solve(reward)) / best,
    }


MIRA = Check(
    row=128,
    name="milestone-potential-shaping",
    claim="Progress over milestones as a potential gives more success in as many episodes than the sparse reward, and "
    "with wrong milestones the policy that is best under the shaped reward is as good as the best.",
    arms={how: partial(milestones, how=how) for how in ("none", "milestones", "wrong milestones")},
    holds=lambda found: (
        found.above("milestones", "none", "success")
        and min(found.values["wrong milestones"]["worth of the best policy"]) > 1 - 1e-6
    ),
    units={"success": "share of episodes", "worth of the best policy": "share of the best"},
)


# SIOP: a search whose answers nobody verifies.

TOPICS, TOOLS, BITS, TURNS = 4, 8, 3, 4


class Search:
    """A topic's answer is one of 8; each of three tools of the topic tells one bit of it, the others tell nothing."""

    def __init__(self, seed: int) -> None:
        """Which tools tell what."""
        random = np.random.default_rng(seed)
        self.answer = random.integers(0, 2**BITS, TOPICS)
        self.telling = np.stack([random.permutation(TOOLS)[:BITS] + 1 for _ in range(TOPICS)])
        self.random = random

    def prompts(self, random: np.random.Generator, number: int) -> NDArray[np.int64]:
        """A topic each `[n, 1]`."""
        return 1 + random.integers(0, TOPICS, (number, 1))

    def known(self, writing: Writing) -> NDArray[np.bool_]:
        """Which bits are known after each turn `[B, T, BITS]`."""
        wanted = self.telling[writing.prompts[:, 0] - 1]
        told = (writing.completions[:, :, None] == wanted[:, None, :]) & writing.mask[:, :, None]
        return np.cumsum(told, axis=1) > 0

    def answers(self, writing: Writing) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What is answered, the bits that are not known being guessed, and what is right `[B]`."""
        gold = self.answer[writing.prompts[:, 0] - 1]
        known = self.known(writing)[:, -1]
        guessed = self.random.integers(0, 2, known.shape)
        bits = np.where(known, gold[:, None] >> np.arange(BITS) & 1, guessed)
        return (bits << np.arange(BITS)).sum(-1), gold


def search(seed: int, how: str) -> Measured:
    """Accuracy after training without labels (or with, for comparison)."""
    world = Search(seed)

    def components(writing: Writing) -> Mapping[str, Column]:
        answer, gold = world.answers(writing)
        known = world.known(writing)
        # A scorer's likelihood of the rollout's own answer: 1/2 for each bit that the evidence leaves open.
        likely = support((known.sum(-1) - BITS)[..., None] * np.log(2.0), np.ones(1))
        return {
            "right": Column.full((answer == gold).astype(np.float32)),
            "answer": Column.full(answer),
            "reliability": Column.full(known[:, -1].mean(-1)),
            "support": Column.full(writing.tokens(likely)),
            "prior": Column.full(np.full(len(answer), 0.5**BITS)),
        }

    grpo = {"part": "group_relative", "preset": "grpo", "of": "reward"}
    turns = {"part": "group_relative", "preset": "grpo", "of": "reward", "to": "turn"}
    to_go = {"part": "returns", "of": "turn", "to": "advantage"}
    mass = {"part": "outcome_mass", "preset": "siop", "of": "answer", "to": "mass"}
    potential = {"part": "increments", "preset": "siop", "of": "support", "to": "reward"}
    ways: dict[str, Parts] = {
        "right answers": [{"part": "scale", "of": "right", "factor": 1.0, "to": "reward"}, grpo],
        "mass of the answer": [mass, {"part": "scale", "of": "mass", "factor": 1.0, "to": "reward"}, grpo],
        "SIOP": [mass, potential, turns, to_go],
        "right answers' potential": [{**potential, "weight": "right"}, turns, to_go],
    }
    parts = ways[how]
    kinds = {"right": "episode", "answer": "episode", "reliability": "episode", "prior": "episode", "support": "token"}
    read = {name for part in parts for name in (part.get("of"), part.get("weight"))}
    read |= {"reliability"} if mass in parts else set()
    read |= {"prior", "support"} if any(part["part"] == "increments" for part in parts) else set()
    levels = {name: level for name, level in kinds.items() if name in read}
    policy = TinyPolicy(TOOLS + 1, seed)
    on_the_way: list[float] = []
    reinforce(
        policy,
        world.prompts,
        components,
        view(parts, levels),
        seed,
        updates=60,
        groups=8,
        length=TURNS,
        on_update=lambda update, writing: on_the_way.append(
            float(0.5 ** (~world.known(writing)[:, -1]).sum(-1).mean())
        ),
    )
    asked = world.prompts(np.random.default_rng(10_000 + seed), 128)
    found = write(policy, asked, 4, TURNS, torch.Generator().manual_seed(seed))
    answer, gold = world.answers(found)
    return {"accuracy": float((answer == gold).mean()), "accuracy on the way": float(np.mean(on_the_way))}


SIOP = Check(
    row=109,
    name="self-induced-outcome-potential",
    claim="Without labels, SIOP is right more often on the way than a reward for the mass of the answer, and at the "
    "end within 0.1 of the potential of right answers.",
    arms={
        how: partial(search, how=how)
        for how in ("right answers", "mass of the answer", "SIOP", "right answers' potential")
    },
    holds=lambda found: (
        found.above("SIOP", "mass of the answer", "accuracy on the way")
        and (found.difference("SIOP", "right answers' potential", "accuracy").low or 0.0) > -0.1
    ),
    units={"accuracy": "share of answers", "accuracy on the way": "share of answers"},
)


# P2S: chains of sums, with the likelihood of what is left of a right chain.

BASE, STEPS = 3, 3


def sums(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """Digits to be summed `[n, STEPS + 2]`."""
    return 1 + random.integers(0, BASE, (number, STEPS + 2))


def chains(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Running sums modulo BASE, the last of which is the answer `[n, STEPS + 1]`."""
    return 1 + np.cumsum(asked - 1, axis=1)[:, 1:] % BASE


def right(writing: Writing) -> NDArray[np.bool_]:
    """Whose answer is right `[B]`."""
    found: NDArray[np.bool_] = writing.completions[:, STEPS] == chains(writing.prompts)[:, -1]
    return found


@torch.no_grad()
def log_probs(policy: TinyPolicy, asked: NDArray[np.int64], written: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probability of each token `[B, T]`."""
    return policy.log_probs(torch.as_tensor(asked), torch.as_tensor(written)).numpy().astype(np.float64)


def faithfulness(writing: Writing, gold: NDArray[np.int64]) -> NDArray[np.float64]:
    """PFR of each reasoning step `[B, STEPS]`, given right chains `[B, STEPS + 1]`."""
    logs = np.full((len(gold), STEPS, STEPS + 1), np.nan)
    for step in range(STEPS):
        joined = np.concatenate([writing.completions[:, : step + 1], gold[:, step + 1 :]], axis=1)
        logs[:, step, step + 1] = log_probs(writing.policy, writing.prompts, joined)[:, step + 1 :].mean(-1)
    return path_faithfulness(logs, aligned=True)


def own_chains(writing: Writing) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of each group, its likeliest completion with a right answer, for each member; and where there is one."""
    likely = np.where(right(writing), writing.log_probs.sum(-1), -np.inf)
    members = np.bincount(writing.group)[0]
    best = likely.reshape(-1, members).argmax(1) + np.arange(len(likely) // members) * members
    return np.repeat(writing.completions[best], members, axis=0), np.repeat(right(writing)[best], members)


def half_taught(seed: int) -> TinyPolicy:
    """A policy that was taught until it is right in half of the sums, or for 1000 steps."""
    policy, shown = TinyPolicy(BASE + 1, seed), sums(np.random.default_rng(1000 + seed), 256)
    for round in range(20):
        imitate(policy, shown, chains(shown), 50)
        written = write(policy, shown, 2, STEPS + 1, torch.Generator().manual_seed(round))
        if right(written).mean() > 0.5:
            break
    return policy


def chained(seed: int, weight: float) -> Measured:
    """Accuracy after training with the probability of the answer, and path faithfulness with a weight."""

    def components(writing: Writing) -> Mapping[str, Column]:
        answers = writing.completions.copy()
        answers[:, STEPS] = chains(writing.prompts)[:, -1]
        probability = np.exp(log_probs(writing.policy, writing.prompts, answers)[:, STEPS])
        gold, there = own_chains(writing)
        found = np.zeros(writing.completions.shape)
        found[:, :STEPS] = faithfulness(writing, gold)
        known = np.zeros(found.shape, np.bool_)
        known[:, :STEPS] = there[:, None]
        values = found[writing.mask]
        return {
            "probability": Column.full(probability),
            "faithfulness": Column(values.astype(np.float32), known[writing.mask]),
        }

    parts: Parts = [
        {"part": "scale", "of": "probability", "factor": 1.0, "to": "reward"},
        {"part": "group_relative", "preset": "grpo", "of": "reward", "to": "whole"},
        {"part": "position_relative", "of": "faithfulness", "to": "steps"},
        {
            "part": "weighted_sum",
            "coefficients": {"whole": 1.0, "steps": weight},
            "on_null": {"steps": "omit"},
            "to": "advantage",
        },
    ]
    policy = half_taught(seed)
    reinforce(
        policy,
        sums,
        components,
        view(parts, {"probability": "episode", "faithfulness": "token"}),
        seed,
        updates=120,
        length=STEPS + 1,
    )
    asked = sums(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, STEPS + 1, torch.Generator().manual_seed(seed))
    return {"accuracy": float(right(found).mean()), "corrupted steps are worth less": noticed(policy, asked)}


def noticed(policy: TinyPolicy, asked: NDArray[np.int64]) -> float:
    """How often a step that is made wrong in a right chain lowers its path faithfulness."""
    gold = chains(asked)
    generator = torch.Generator().manual_seed(0)
    writing = write(policy, asked, 1, STEPS + 1, generator)
    lowered = []
    for step in range(STEPS):
        wrong = gold.copy()
        wrong[:, step] = 1 + gold[:, step] % BASE
        values = [
            faithfulness(Writing(asked, c, writing.mask, writing.group, writing.log_probs, policy), gold)[:, step]
            for c in (gold, wrong)
        ]
        lowered.append((values[1] < values[0]).mean())
    return float(np.mean(lowered))


P2S = Check(
    row=121,
    name="path-faithfulness-reward",
    claim="Path faithfulness of steps, beside the probability of the answer, gives more right answers than that "
    "probability alone, and more than 9 in 10 steps that are made wrong are worth less.",
    arms={
        "probability of the answer": lambda seed: chained(seed, 0.0),
        "path faithfulness (P2S)": lambda seed: chained(seed, 1.0),
    },
    holds=lambda found: (
        found.above("path faithfulness (P2S)", "probability of the answer", "accuracy")
        and found.interval("path faithfulness (P2S)", "corrupted steps are worth less")[0] > 0.9
    ),
    units={"accuracy": "share of answers", "corrupted steps are worth less": "share of steps"},
)
