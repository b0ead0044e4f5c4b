"""Checks of what is learnt from: answers that a reward model can be trusted about, and tasks whose rewards vary."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.checks.policy_objectives import group_advantages
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import TinyPolicy, Writing, write
from rewards.columns import Column
from rewards.comparison.correlation import spearman
from rewards.data.filtration import Filter, filtration_weights, r_squared
from rewards.data.selection import most_varied
from rewards.verifiers.sets import iou

# --- 53: a reward model that errs in the middle -----------------------------------------------------------------------

MEMBERS = 5
FILTERS: tuple[Filter, ...] = get_args(Filter)

beginner = cache(arithmetic.beginner)


def scored(truth: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A reward model: right about what is all wrong or all right, and off by up to the way there in between `[B]`."""
    return (truth + np.minimum(truth, 1 - truth) * random.uniform(-1, 1, truth.shape)).astype(np.float32)


def critic_of(seed: int) -> nn.Module:
    """What a sum will earn, from its five tokens."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(arithmetic.VOCABULARY, 8), nn.Flatten(), nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 1)
    )


def filtered(seed: int, keep: Filter, updates: int = 80, groups: int = 16, epochs: int = 2) -> Mapping[str, float]:
    """True rewards after PPO on what a filter keeps of five answers to each sum, and R² of what it keeps at first.

    Args:
        seed: of everything.
        keep: the filter.
        updates: batches.
        groups: sums of each.
        epochs: steps of gradient a batch.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy, critic = TinyPolicy(arithmetic.VOCABULARY, seed), critic_of(seed)
    policy.load_state_dict(beginner(seed).state_dict())

    def answered(number: int) -> tuple[Writing, Column, Column]:
        writing = write(policy, arithmetic.prompts(random, number), MEMBERS, arithmetic.LENGTH, generator)
        truth = arithmetic.correct_digits(writing)
        columns = [Column.full(values.reshape(-1, MEMBERS)) for values in (scored(truth, random), truth)]
        return writing, columns[0], columns[1]

    _, rewards, truth = answered(400)
    determined = r_squared(rewards, truth, filtration_weights(rewards, keep))
    optimiser = torch.optim.Adam([*policy.parameters(), *critic.parameters()], 3e-3)
    for _ in range(updates):
        writing, rewards, _ = answered(groups)
        weight = torch.as_tensor(filtration_weights(rewards, keep), dtype=torch.float32).flatten() / groups
        asked, made = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        mask, old = torch.as_tensor(writing.mask), torch.as_tensor(writing.log_probs)
        paid = torch.as_tensor(rewards.values).flatten()
        with torch.no_grad():
            gain = paid - critic(asked)[:, 0]
            gain = gain - weight @ gain
            gain = gain / ((weight @ gain.square()).sqrt() + 1e-6)
        for _ in range(epochs):
            ratio = (policy.log_probs(asked, made) - old).exp()
            surrogate = torch.minimum(ratio * gain[:, None], ratio.clamp(0.8, 1.2) * gain[:, None])
            loss = -weight @ ((surrogate * mask).sum(1) / mask.sum(1))
            loss = loss + weight @ (critic(asked)[:, 0] - paid).square()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()
    later = arithmetic.prompts(np.random.default_rng(9000 + seed), 400)
    writing = write(policy, later, 4, arithmetic.LENGTH, generator)
    return {
        "true reward": float(arithmetic.correct_digits(writing).mean()),
        "right": float(arithmetic.right(writing).mean()),
        "R² at first": 0.0 if determined is None else determined,
    }


def _as_r_squared_says(found: Found) -> bool:
    """Filters with both ends are above none, none above the best alone, and R² orders all four."""
    order = spearman(*([found.mean(keep, name) for keep in FILTERS] for name in ("R² at first", "true reward")))
    return (
        all(found.above(keep, "all", "true reward") for keep in ("best_and_random", "best_and_worst"))
        and found.below("best", "all", "true reward")
        and (order or 0.0) > 0.8
    )


PF_PPO = Check(
    row=53,
    name="policy-filtration",
    claim="Where a reward model errs in the middle of its range, PPO on the best and worst, or the best and others, of "
    "five answers ends with more true reward than on all, and on the best alone with less; R² of what the filters "
    "keep at first orders them as their outcomes do, by a rank correlation above 0.8.",
    arms={keep: partial(filtered, keep=keep) for keep in FILTERS},
    holds=_as_r_squared_says,
    units={"true reward": "share of places", "right": "share of answers"},
)


# --- 144: finding an event, and saying when it was --------------------------------------------------------------------

CELLS, KINDS, SCENES, TRIES = 8, 6, 3000, 8
"""Cells of a scene, kinds of events (two that are known, two unsure, two wrong), scenes, and answers to each before."""
Ints = NDArray[np.int64]


def scenes(random: np.random.Generator, number: int) -> tuple[Tensor, Ints, Ints]:
    """Scenes with two events and a question for one, as zeros and ones; and the answers to that and to the other.

    An answer is start, last cell, and whether it was the first event or the second `[n, 3]`.
    """
    kinds = np.argsort(random.random((number, KINDS)), 1)[:, :2]  # of the first event and of the second
    length = random.integers(1, 4, (number, 2))
    start = random.integers(0, CELLS // 2 + 1 - length) + np.array([0, CELLS // 2])
    last = start + length - 1
    cells = np.zeros((number, CELLS, KINDS), np.float32)
    place = np.arange(CELLS)
    for event in range(2):
        inside = (place >= start[:, event, None]) & (place <= last[:, event, None])
        cells[np.arange(number), :, kinds[:, event]] += inside
    wanted = random.integers(0, 2, number)
    answers = np.stack([start, last, np.broadcast_to([0, 1], start.shape)], -1)
    rows = np.arange(number)
    asked = np.eye(KINDS, dtype=np.float32)[kinds[rows, wanted]]
    return (
        torch.as_tensor(np.concatenate([cells.reshape(number, -1), asked], 1)),
        answers[rows, wanted],
        answers[rows, 1 - wanted],
    )


class Grounder(nn.Module):
    """Where an event starts and ends, and whether it is the first."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(CELLS * KINDS + KINDS, 96), nn.ReLU(), nn.Linear(96, 2 * CELLS + 2))

    def logs(self, scene: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities of each of the three numbers."""
        return tuple(part.log_softmax(-1) for part in self.body(scene).split([CELLS, CELLS, 2], -1))

    def answered(self, scene: Tensor, generator: torch.Generator) -> Tensor:
        """Answers `[n, 3]`."""
        with torch.no_grad():
            drawn = [torch.multinomial(logs.exp(), 1, generator=generator) for logs in self.logs(scene)]
        return torch.cat(drawn, 1)

    def log_probs(self, scene: Tensor, answers: Tensor) -> Tensor:
        """Log-probabilities of answers `[n]`."""
        each = [logs.gather(1, answers[:, k : k + 1])[:, 0] for k, logs in enumerate(self.logs(scene))]
        return torch.stack(each).sum(0)


def dual(answers: Tensor, wanted: Ints) -> Tensor:
    """Half for the overlap of the intervals, half for the right order `[n]`."""
    found = [
        (iou((a, b + 1), (c, d + 1)) if a <= b else 0.0) / 2 + (e == f) / 2
        for (a, b, e), (c, d, f) in zip(answers.tolist(), wanted.tolist(), strict=True)
    ]
    return torch.tensor(found)


@cache
def somewhat_taught(seed: int) -> Grounder:
    """A policy that is right about two kinds of events, takes the other event for two, and either for the last two."""
    random = np.random.default_rng(1000 + seed)
    scene, own, other = scenes(random, 4096)
    kind = scene[:, -KINDS:].argmax(1).numpy()
    honest = random.random(len(kind)) < np.array([1.0, 1.0, 0.5, 0.5, 0.0, 0.0])[kind]
    shown = torch.as_tensor(np.where(honest[:, None], own, other))
    policy = Grounder(seed)
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(300):
        rows = torch.as_tensor(random.integers(0, len(kind), 512))
        loss = -policy.log_probs(scene[rows], shown[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return policy


@cache
def grounded(seed: int, choice: str, updates: int = 80, groups: int = 16, members: int = 8) -> NDArray[np.float32]:
    """Rewards on scenes that nothing was learnt from, at first and after each fifth update of GRPO `[n, 2]`.

    The first of all scenes, the second of those with the kinds of events that the policy was not sure of.

    Args:
        seed: of everything.
        choice: "all" scenes of the pool, a "random" fifth, or the fifth that is most "varied".
        updates: batches.
        groups: scenes of each.
        members: answers to each.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = Grounder(seed)
    policy.load_state_dict(somewhat_taught(seed).state_dict())
    pool, wanted, _ = scenes(random, SCENES)
    later, later_wanted, _ = scenes(np.random.default_rng(9000 + seed), 1000)

    def answered(scene: Tensor, right: Ints, members: int) -> tuple[Tensor, Tensor, Tensor]:
        asked = scene.repeat_interleave(members, 0)
        made = policy.answered(asked, generator)
        return asked, made, dual(made, right.repeat(members, 0)).view(-1, members)

    used: Ints = np.arange(SCENES)
    if choice == "random":
        used = random.permutation(SCENES)[: SCENES // 5]
    elif choice == "varied":
        used = most_varied(Column.full(answered(pool, wanted, TRIES)[2].numpy()), 0.2)
    unsure = (later[:, -KINDS:].argmax(1) // 2) == 1
    curve = list[list[float]]()

    def look() -> None:
        rewards = answered(later, later_wanted, 1)[2][:, 0]
        curve.append([float(rewards.mean()), float(rewards[unsure].mean())])

    look()
    optimiser = torch.optim.Adam(policy.parameters(), 2e-3)
    for update in range(1, updates + 1):
        rows = used[random.integers(0, len(used), groups)]
        asked, made, rewards = answered(pool[rows], wanted[rows], members)
        loss = -(group_advantages(rewards).flatten() * policy.log_probs(asked, made)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if update % 5 == 0:
            look()
    return np.array(curve, np.float32)


def chosen(seed: int, choice: str) -> Mapping[str, float]:
    """How soon what all scenes teach is taught by fewer."""
    curve, whole = grounded(seed, choice), grounded(seed, "all")[:, 0]
    goal = whole[0] + 0.9 * (whole[-4:].mean() - whole[0])
    reached = next((5 * k for k, value in enumerate(curve[:, 0]) if value >= goal), 5 * len(curve))
    end, unsure = curve[-4:].mean(0).tolist()
    return {
        "reward at the end": end,
        "of kinds it was unsure of": unsure,
        "updates to what all teach": float(reached),
    }


TEMPORAL_R1 = Check(
    row=144,
    name="variance-aware-sample-selection",
    claim="Of a pool in which a policy is sure of most scenes, rightly or wrongly, the fifth with the most varied "
    "rewards teaches nine tenths of what all scenes do in fewer updates than all, and than a random fifth, and ends "
    "no lower than all by 0.02.",
    arms={choice: partial(chosen, choice=choice) for choice in ("all", "random", "varied")},
    holds=lambda found: (
        all(found.below("varied", other, "updates to what all teach") for other in ("all", "random"))
        and (found.difference("varied", "all", "reward at the end").low or 0.0) > -0.02
    ),
    units={"reward at the end": "of 1", "of kinds it was unsure of": "of 1", "updates to what all teach": "updates"},
)
