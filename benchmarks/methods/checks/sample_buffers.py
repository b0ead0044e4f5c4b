"""Check of a buffer of samples that had something to teach, where most groups of answers have come to be equal."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.language import TinyPolicy, Writing, imitate, write
from learners.language.clipping import Clip
from learners.language.selective_buffer import SelectiveSampleBuffer
from learners.objectives.mixed_preference import mixed_preference, next_shift
from learners.objectives.self_critic import critic_pairs
from rewards.columns import Column
from rewards.groups import group_advantages

# --- 170: sums that become easy ---------------------------------------------------------------------------------------

MODULUS, KNOWN = 11, 0.3
"""Of sums of two numbers, and how often the answers that the policy imitated at first are right."""
NUMBER = 1
"""Token of the first number that is 0; those of the second and of the answer have tokens of their own."""
GROUPS, MEMBERS, UPDATES = 8, 8, 400
SIZE = GROUPS * MEMBERS
SHARE, HELD = 0.9, 4 * SIZE
"""Share of a batch that is to have an advantage, and samples that are held for that."""
TARGET, RECENT = 0.9, 20
"""Share of answers that is to be right, and updates over whose answers it is looked at."""
PREFERRED, BETA = 8, 0.1
"""Batches of answers that pairs are taken from, and the price of leaving the first policy."""


class Sample(NamedTuple):
    """One answer, as it was written `[P]`, `[T]`, and its advantage then."""

    prompt: NDArray[np.int64]
    completion: NDArray[np.int64]
    mask: NDArray[np.bool_]
    log_probs: NDArray[np.float32]
    advantage: float


def prompts(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """Two numbers `[n, 2]`."""
    return NUMBER + np.array([0, MODULUS]) + random.integers(0, MODULUS, (number, 2))


def answers(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Their sum, as a completion `[n, 1]`."""
    found: NDArray[np.int64] = NUMBER + 2 * MODULUS + (asked.sum(1, keepdims=True) - 2 * NUMBER - MODULUS) % MODULUS
    return found


def right(writing: Writing) -> NDArray[np.float32]:
    """1 where the sum is right, 0 elsewhere `[B]`."""
    found: NDArray[np.float32] = (writing.completions == answers(writing.prompts))[:, 0].astype(np.float32)
    return found


@cache
def beginner(seed: int) -> TinyPolicy:
    """Who has imitated answers of which few are right; it may not be trained."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(NUMBER + 3 * MODULUS, seed)
    asked = prompts(random, 2048)
    guesses = NUMBER + 2 * MODULUS + random.integers(0, MODULUS, (2048, 1))
    imitate(policy, asked, np.where(random.random((2048, 1)) < KNOWN, answers(asked), guesses), 150)
    return policy


def samples(writing: Writing, advantages: NDArray[np.float32]) -> list[Sample]:
    """The answers of a batch one by one."""
    parts = (writing.prompts, writing.completions, writing.mask, writing.log_probs, advantages)
    return [Sample(*row) for row in zip(*parts, strict=True)]


def learn(policy: TinyPolicy, optimiser: torch.optim.Optimizer, batch: list[Sample]) -> None:
    """One step of PPO's clip on samples of any age; those of the batch that are not here count in its mean as 0."""
    prompts, completions, mask, before, advantages = (
        torch.as_tensor(np.stack(column)) for column in zip(*batch, strict=True)
    )
    logs = policy.log_probs(prompts, completions)
    spread = advantages.float()[:, None].expand_as(logs)
    losses = Clip().surrogate((logs - before).exp(), spread, logs).loss
    loss = ((losses * mask).sum(-1) / mask.sum(-1)).sum() / SIZE
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimiser.step()


def prefer(policy: TinyPolicy, random: np.random.Generator, generator: torch.Generator, steps: int = 40) -> None:
    """Mixed preferences between right and wrong answers of the policy's own, in place."""
    writing = write(policy, prompts(random, PREFERRED * GROUPS), MEMBERS, 1, generator)
    chosen, rejected = critic_pairs(torch.as_tensor(right(writing)).view(-1, MEMBERS))
    first = MEMBERS * torch.arange(len(chosen))
    good, bad = (first + chosen)[chosen >= 0], (first + rejected)[chosen >= 0]
    asked, tokens, mask = (torch.as_tensor(a) for a in (writing.prompts, writing.completions, writing.mask))
    before = (torch.as_tensor(writing.log_probs) * mask).sum(-1)
    optimiser, shift = torch.optim.Adam(policy.parameters(), 1e-3), 0.0

    def likelihood(rows: Tensor) -> Tensor:
        return (policy.log_probs(asked[rows], tokens[rows]) * mask[rows]).sum(-1)

    for _ in range(steps):
        liked, disliked = likelihood(good), likelihood(bad)
        ratios = liked - before[good], disliked - before[bad]
        loss = mixed_preference(*ratios, liked / mask[good].sum(-1), shift, BETA).total.mean()
        shift = next_shift(shift, *ratios, BETA)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def practised(seed: int, share: float, preferences: bool) -> Mapping[str, float]:
    """How fast sums are learnt, and how much of each batch had something to teach.

    Args:
        seed: of everything.
        share: of each batch that is to have an advantage; 0: no buffer.
        preferences: whether preferences come first, on as many answers as PREFERRED batches have.
    """
    policy, random = deepcopy(beginner(seed)), np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    if preferences:
        prefer(policy, random, generator)
    spent = PREFERRED * preferences
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    buffer = SelectiveSampleBuffer[Sample](HELD, max_age=4, seed=seed)
    won, taught = [0.0] * spent, []
    for update in range(UPDATES - spent):
        writing = write(policy, prompts(random, GROUPS), MEMBERS, 1, generator)
        rewards = right(writing)
        advantages = group_advantages(Column.full(rewards.reshape(GROUPS, MEMBERS))).values.ravel()
        own = samples(writing, advantages)
        batch = [sample for sample in own if sample.advantage != 0]
        more = buffer.refill(len(batch), SIZE, update, share)
        buffer.add(own, advantages, update)
        if batch or more:
            learn(policy, optimiser, batch + more)
        won.append(float(rewards.mean()))
        taught.append((len(batch) + len(more)) / SIZE)
    recent = np.convolve(won, np.full(RECENT, 1 / RECENT), "valid")
    reached = np.flatnonzero(recent >= TARGET)
    test = write(policy, prompts(np.random.default_rng(9000 + seed), 1000), 1, 1, generator)
    quarter = len(taught) // 4
    return {
        "with an advantage at first": float(np.mean(taught[:10])),
        "with an advantage, last quarter": float(np.mean(taught[-quarter:])),
        "updates to 0.9": float(reached[0] + RECENT if len(reached) else UPDATES),
        "right": float(right(test).mean()),
    }


SKYWORK_R1V2 = Check(
    row=170,
    name="selective-sample-buffer",
    claim="While sums become easy, the share of a batch that has an advantage falls by over 0.1 with GRPO and by less "
    "than 0.05 with a buffer of samples that had one, and nine in ten answers are right after fewer updates.",
    arms={
        "GRPO": partial(practised, share=0.0, preferences=False),
        "GRPO, with the buffer": partial(practised, share=SHARE, preferences=False),
        "mixed preferences, then with the buffer": partial(practised, share=SHARE, preferences=True),
    },
    holds=lambda found: (
        found.mean("GRPO", "with an advantage at first") - found.mean("GRPO", "with an advantage, last quarter") > 0.1
        and found.mean("GRPO, with the buffer", "with an advantage at first")
        - found.mean("GRPO, with the buffer", "with an advantage, last quarter")
        < 0.05
        and found.below("GRPO, with the buffer", "GRPO", "updates to 0.9")
    ),
    units={
        "with an advantage at first": "share of samples",
        "with an advantage, last quarter": "share of samples",
        "updates to 0.9": "updates",
        "right": "share of answers",
    },
)
