"""Check of a policy that judges itself: what is left to learn from when all its answers get better together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.checks.judging import novice
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import TinyPolicy, mask_of, write
from learners.language.preferences import dpo
from learners.objectives.self_critic import critic_pairs
from learners.objectives.temporal_pairs import anchored_pairs, future_guided

Way = Literal["self-rewarding", "rejected of the past", "rejected of the past, chosen of the future"]
WAYS: tuple[Way, ...] = ("self-rewarding", "rejected of the past", "rejected of the past, chosen of the future")
ITERATIONS, PROMPTS, ANSWERS, STEPS = 4, 64, 24, 40
"""Iterations; of each, prompts, answers to each of them by all models together, and steps of gradient in all."""
BETA, NOISE = 0.1, 0.2
"""Price of leaving the policy of the iteration, and deviation of what the judge says from what is truly wanted."""


class Answers(NamedTuple):
    """Texts `[P, G, T]`, what they are worth and how they are judged `[P, G]`."""

    texts: Tensor
    worth: Tensor
    judged: Tensor

    def of(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """The texts `[P, T]` with some numbers `[P]`, and their worth."""
        row = torch.arange(len(number))
        return self.texts[row, number.clamp(min=0)], self.worth[row, number.clamp(min=0)]


def states(policy: TinyPolicy, asked: Tensor, texts: Tensor) -> Tensor:
    """What a policy makes of texts: its mean state over their tokens `[P, H]`."""
    with torch.no_grad():
        found, _ = policy.cell(policy.embed(torch.cat([asked, texts], 1)))
    mask = mask_of(texts)[..., None]
    mean: Tensor = (found[:, asked.shape[1] :] * mask).sum(1) / mask.sum(1)
    return mean


def learnt(policy: TinyPolicy, asked: Tensor, chosen: Tensor, rejected: Tensor, steps: int) -> TinyPolicy:
    """A policy after DPO on pairs, with itself for the reference."""
    trained = deepcopy(policy)
    optimiser = torch.optim.Adam(trained.parameters(), 1e-3)
    texts, prompts = torch.cat([chosen, rejected]), asked.repeat(2, 1)
    mask = mask_of(texts).float()
    with torch.no_grad():
        before = (policy.log_probs(prompts, texts) * mask).sum(1)
    for _ in range(steps):
        ratio = (trained.log_probs(prompts, texts) * mask).sum(1) - before
        loss = dpo(ratio[: len(chosen)] - ratio[len(chosen) :], BETA).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return trained


def rewarded_by_itself(seed: int, way: Way) -> Mapping[str, float]:
    """Worth after iterations of DPO on pairs by a policy's own judgement, and how far apart those pairs were.

    Args:
        seed: of everything.
        way: which answers are chosen and rejected; all see as many answers and take as many steps.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    first = policy = novice(seed)
    gaps, distances = list[float](), list[float]()

    def drawn(model: TinyPolicy, asked: NDArray[np.int64], number: int) -> Answers:
        writing = write(model, asked, number, attributes.LENGTH, generator)
        worth = torch.as_tensor(attributes.gold(writing)).view(-1, number)
        judged = worth + NOISE * torch.randn(worth.shape, generator=generator)
        return Answers(torch.as_tensor(writing.completions).view(len(asked), number, -1), worth, judged)

    for _ in range(ITERATIONS):
        prompts = attributes.prompts(random, PROMPTS)
        asked = torch.as_tensor(prompts)
        if way == "self-rewarding":
            present = past = drawn(policy, prompts, ANSWERS)
            chosen, rejected = critic_pairs(present.judged)
        else:
            number = ANSWERS // (2 if way == WAYS[1] else 3)
            present, past = drawn(policy, prompts, number), drawn(first, prompts, number)
            chosen, rejected = anchored_pairs(present.judged, past.judged)
        kept = chosen >= 0
        (texts, worth), (worse, little) = present.of(chosen), past.of(rejected)
        if way == WAYS[2]:
            future = learnt(policy, asked[kept], texts[kept], worse[kept], STEPS // 2)
            later = drawn(future, prompts, number)
            place = future_guided(present.judged, chosen, later.judged)
            better, more = later.of(place)
            texts, worth = torch.where(place[:, None] >= 0, better, texts), torch.where(place >= 0, more, worth)
        gaps.append(float((worth - little)[kept].mean()))
        seen, other = (states(policy, asked[kept], one[kept]) for one in (texts, worse))
        distances.append(1.0 - float(torch.cosine_similarity(seen, other).mean()))
        steps = STEPS // 2 if way == WAYS[2] else STEPS
        policy = learnt(policy, asked[kept], texts[kept], worse[kept], steps)
    held = attributes.prompts(np.random.default_rng(9000 + seed), 256)
    found = write(policy, held, 4, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return {
        "gold": float(attributes.gold(found).mean()),
        "gap at first": gaps[0],
        "gap at last": gaps[-1],
        "gap gained": gaps[-1] - gaps[0],
        "distance at first": distances[0],
        "distance at last": distances[-1],
    }


def _stays_apart(found: Found) -> bool:
    plain, _, temporal = WAYS
    return (
        found.interval(plain, "gap gained")[1] < 0
        and found.interval(temporal, "gap gained")[0] > 0
        and found.above(temporal, plain, "distance at last")
        and found.above(temporal, plain, "gold")
    )


TEMPORAL = Check(
    row=127,
    name="anchored-rejection-future-chosen",
    claim="Over four iterations the gap in worth between chosen and rejected answers shrinks in plain self-rewarding; "
    "with rejected ones of the past and chosen ones of the future it grows, their states end further apart, and there "
    "is more gold at the end, with as many answers and steps.",
    arms={way: partial(rewarded_by_itself, way=way) for way in WAYS},
    holds=_stays_apart,
    units={"distance at first": "1 − cosine", "distance at last": "1 − cosine"},
)
