"""Judges that write before they give a verdict: a small transformer, taught by traces and then by its verdicts.

A prompt ends in two answers. What is written about them is the work, token by token, and last comes the verdict, FIRST
or SECOND. Whoever writes a check brings the pairs, what is written about them, and what a judgement earns.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.worlds.lookups import Reader
from learners.language.aggregation import Aggregation, aggregate, coefficients
from learners.language.divergences import estimate
from learners.language.policy_loss import PolicyLoss, policy_losses
from rewards.columns import Column
from rewards.sources.judge_training import verdict_reward
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
FIRST, SECOND, FREE = 1, 2, 3
"""The verdicts, and the first token that a check may use as it likes."""
GARBLED = 12.0
"""Nats by which a log-probability comes down that was not kept well."""
Draw = Callable[[np.random.Generator, int], tuple[Ints, Ints]]
"""Prompts `[n, P]` that end in two answers, and which of them is better: 1 the first, −1 the second `[n]`."""
Traces = Callable[[np.random.Generator, Ints], Ints]
"""What a teacher writes about prompts `[n, P]`, the verdict last `[n, T]`."""
Pay = Callable[[Ints, Ints, Ints], Floats]
"""What is earned for prompts `[n, P]` by what was written `[n, T]`, where the label is so `[n]`: `[n]`."""


class Writer(Reader):
    """A reader that looks at several tokens at once, one with each of its heads."""

    def __init__(self, seed: int, vocabulary: int, places: int, hidden: int = 48, heads: int = 4) -> None:
        """Random weights, from `seed`."""
        super().__init__(seed, hidden, vocabulary, places)
        self._heads = heads

    def states(self, tokens: Tensor) -> Tensor:
        """What is known behind each token `[B, L, 2 · hidden]`."""
        x = self.token(tokens) + self.place.weight[: tokens.shape[1]]
        query, key, value = (
            part(x).unflatten(-1, (self._heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return torch.cat([x, seen.transpose(1, 2).flatten(2)], -1)


def verdicts(tokens: Ints) -> Ints:
    """1 where the first answer is said to be better, −1 where the second is, 0 where there is no verdict `[n]`."""
    return np.select([tokens[:, -1] == FIRST, tokens[:, -1] == SECOND], [1, -1], 0)


def verdict_alone(prompts: Ints, tokens: Ints, gold: Ints) -> Floats:
    """±1 for the verdict, whatever stands before it: what a judge earns."""
    return verdict_reward(verdicts(tokens), gold)


def swapped(prompts: Ints) -> Ints:
    """The same pairs in the other order."""
    return np.concatenate([prompts[:, :-2], prompts[:, :-3:-1]], 1)


def written(judge: Writer, prompts: Ints, length: int, seed: int, greedy: bool = False) -> Ints:
    """What a judge writes about each pair `[n, T]`, once."""
    generator = torch.Generator().manual_seed(seed)
    return np.asarray(judge.write(torch.as_tensor(prompts), length, generator, greedy).numpy())


def taught(judge: Writer, draw: Draw, traces: Traces, seed: int, steps: int, batch: int = 128) -> Writer:
    """Imitate a teacher's traces of new pairs at each step, in place."""
    random = np.random.default_rng(1000 + seed)
    optimiser = torch.optim.Adam(judge.parameters(), 3e-3)
    for _ in range(steps):
        prompts, _ = draw(random, batch)
        loss = -judge.log_probs(torch.as_tensor(prompts), torch.as_tensor(traces(random, prompts))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return judge


@dataclass(frozen=True)
class Training:
    """How a judge is trained by what its judgements earn.

    Attributes:
        advantage: a preset of `group_relative`.
        loss: of the policy.
        kl: price of leaving the judge as it was at first (k3).
        updates: batches.
        groups: pairs of each.
        members: judgements of each pair.
        steps: of gradient on each batch.
        rate: of Adam.
        garbled: chance that the log-probability of a token comes down by GARBLED, as from a sampler of low precision.
    """

    advantage: str = "grpo"
    loss: PolicyLoss = field(default_factory=lambda: PolicyLoss(aggregation=Aggregation(by="sequence")))
    kl: float = 0.0
    updates: int = 200
    groups: int = 16
    members: int = 8
    steps: int = 1
    rate: float = 1e-3
    garbled: float = 0.0


@dataclass(frozen=True)
class Learnt:
    """What came of it.

    Attributes:
        judge: after training, a copy of the one that was given.
        loss: the largest of any batch, in absolute value.
        log_ratio: the largest of any token that was learnt from.
    """

    judge: Writer
    loss: float
    log_ratio: float


def reinforced(judge: Writer, draw: Draw, pay: Pay, length: int, seed: int, how: Training) -> Learnt:
    """Train a copy of a judge by policy gradient on its own judgements of new pairs."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy, reference = deepcopy(judge), judge
    optimiser = torch.optim.Adam(policy.parameters(), how.rate)
    part = part_of({"part": "group_relative", "preset": how.advantage, "of": "paid"})
    number = how.groups * how.members
    layout = Layout.of(np.ones(number), np.repeat(np.arange(how.groups), how.members))
    sequence = torch.arange(number).repeat_interleave(length)
    largest, furthest = 0.0, 0.0
    for _ in range(how.updates):
        prompts, gold = (np.repeat(values, how.members, 0) for values in draw(random, how.groups))
        asked = torch.as_tensor(prompts)
        tokens = policy.write(asked, length, generator)
        with torch.no_grad():
            before, anchor = policy.log_probs(asked, tokens).flatten(), reference.log_probs(asked, tokens).flatten()
            before = before - GARBLED * (torch.rand(len(before), generator=generator) < how.garbled)
        paid = Column.full(pay(prompts, tokens.numpy(), gold))
        found = part.apply(Table({"paid": paid}, layout, {"paid": "episode"}), {})
        advantages = torch.as_tensor(np.where(found.valid, found.values, 0.0)).repeat_interleave(length)
        weights = torch.as_tensor(found.valid.astype(np.float32)).repeat_interleave(length)
        share = coefficients(weights, sequence, how.loss.aggregation)
        for _ in range(how.steps):
            logs = policy.log_probs(asked, tokens).flatten()
            losses = policy_losses(logs, before, advantages, weights, sequence, how.loss)
            loss = aggregate(losses.loss, share)
            largest = max(largest, abs(float(loss.detach())))
            furthest = max(furthest, float(((logs.detach() - before) * (weights > 0)).abs().max()))
            if how.kl:
                loss = loss + how.kl * estimate(logs, anchor, "k3").mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Learnt(policy, largest, furthest)
