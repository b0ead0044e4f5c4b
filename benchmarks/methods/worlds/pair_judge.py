"""A judge of pairs that learns where to look: it names a few attributes, looks at these alone, and gives its verdict.

Answers differ in attributes; a first reading shows all differences, blurred. The judge is a policy: what it names, the
form of its two turns, and the verdict are sampled, and learnt by the policy gradient within groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

ATTRIBUTES, NAMED, TURNS = 8, 2, 2
MEMBERS = 8
"""Judgements of one pair, which are compared."""
BLURRED = 0.7
"""Standard deviation of what the first reading adds to each difference; a look that is meant adds nothing."""


@dataclass(frozen=True)
class Pairs:
    """N pairs of answers.

    Attributes:
        topic: of the prompt, `[N]`.
        apart: by how much the first answer has more of each attribute, `[N, A]`.
        core: attributes that decide, `[N, A]`.
        first: 1 where the first answer is better, −1 where the second is, `[N]`.
    """

    topic: Tensor
    apart: Tensor
    core: Tensor
    first: Tensor

    def repeated(self, times: int) -> Pairs:
        """Each pair so many times, one behind another."""
        parts = (self.topic, self.apart, self.core, self.first)
        return Pairs(*(part.repeat_interleave(times, 0) for part in parts))


@dataclass(frozen=True)
class Judged:
    """What a judge did with B pairs.

    Attributes:
        named: attributes that it looked at, `[B, A]`.
        verdict: 1 or −1, `[B]`.
        formed: whether both turns kept their form, `[B]`.
        log_probs: of all of it, `[B]`.
    """

    named: Tensor
    verdict: Tensor
    formed: Tensor
    log_probs: Tensor


class PairJudge(nn.Module):
    """Names `NAMED` attributes by topic and by what the first reading showed, and weighs what it sees there.

    Args:
        topics: of prompts.
        reads_first: whether it names after the first reading, or before.
    """

    def __init__(self, topics: int, reads_first: bool = True) -> None:
        super().__init__()
        self.look = nn.Parameter(torch.zeros(topics, ATTRIBUTES))
        self.weigh = nn.Parameter(torch.zeros(topics, ATTRIBUTES))
        self.focus = nn.Parameter(torch.zeros(()))
        self.form = nn.Parameter(torch.zeros(TURNS))
        self._reads_first = reads_first

    def forward(self, pairs: Pairs, generator: torch.Generator) -> Judged:
        """Judge each pair once."""
        n = len(pairs.topic)
        blurred = pairs.apart + BLURRED * torch.randn(n, ATTRIBUTES, generator=generator)
        logits = self.look[pairs.topic] + self._reads_first * self.focus * blurred.abs()
        log_probs, named = torch.zeros(n), torch.zeros(n, ATTRIBUTES)
        for _ in range(NAMED):  # without replacement (Plackett-Luce)
            choice = logits.masked_fill(named > 0, -torch.inf).log_softmax(-1)
            picked = torch.multinomial(choice.exp(), 1, generator=generator)
            log_probs = log_probs + choice.gather(1, picked).squeeze(1)
            named = named.scatter(1, picked, 1.0)
        leaning = (self.weigh[pairs.topic] * pairs.apart * named).sum(-1)
        verdict = 2.0 * (torch.rand(n, generator=generator) < leaning.detach().sigmoid()).float() - 1.0
        kept = (torch.rand(n, TURNS, generator=generator) < self.form.detach().sigmoid()).float()
        log_probs = log_probs + logsigmoid(verdict * leaning) + logsigmoid((2 * kept - 1) * self.form).sum(-1)
        return Judged(named, verdict, kept.all(-1), log_probs)


Draw = Callable[[torch.Generator, int], Pairs]
Pay = Callable[[Pairs, Judged], NDArray[np.floating]]


def trained(judge: PairJudge, draw: Draw, pay: Pay, seed: int, updates: int = 300) -> PairJudge:
    """Train a judge by REINFORCE with the group's mean and deviation taken off (GRPO without a clip).

    Args:
        judge: to train.
        draw: gives pairs.
        pay: what a judgement earns, `[B]`.
        seed: of pairs and judgements.
        updates: of 32 pairs each.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(judge.parameters(), 0.05)
    for _ in range(updates):
        pairs = draw(generator, 32).repeated(MEMBERS)
        judged = judge(pairs, generator)
        paid = torch.as_tensor(pay(pairs, judged), dtype=torch.float32).view(-1, MEMBERS)
        advantage = (paid - paid.mean(1, keepdim=True)) / (paid.std(1, keepdim=True) + 1e-4)
        optimiser.zero_grad()
        (-(advantage.flatten() * judged.log_probs).mean()).backward()
        optimiser.step()
    return judge


def right(pairs: Pairs, judged: Judged) -> NDArray[np.float64]:
    """1 where the verdict has the form and is right, else 0, `[B]`."""
    return ((judged.verdict == pairs.first) & judged.formed).double().numpy()
