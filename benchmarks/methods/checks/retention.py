"""Check of policies that are told which returns are wanted: items that please at once, and persons who come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from actors.decision_transformer import Config, DecisionTransformer
from benchmarks.methods.experiment import Check, Found
from learners.objectives.return_conditioned import conditioned_loss, contrast, returns_to_go

VISITS, ITEMS, LEVELS = 8, 4, 5
PEOPLE, UPDATES, BATCH, OTHERS = 3000, 400, 64, 2


class Stored(NamedTuple):
    """Users `[N, 2]`, states `[N, T, LEVELS]`, items `[N, T]`, and both rewards of each visit `[N, T, 2]`."""

    user: Tensor
    states: Tensor
    items: Tensor
    rewards: Tensor


def users(random: np.random.Generator, number: int) -> Tensor:
    """Who is patient, and who is soon annoyed: one of both is 1 `[n, 2]`."""
    return torch.eye(2)[torch.as_tensor(random.integers(0, 2, number))]


def visited(level: Tensor, item: Tensor, user: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The next level of content, and both rewards of a visit: pleasure at once, and how surely one comes back.

    The more an item pleases at once, the less content it leaves; item 0 pleases nobody, and mends.
    """
    lure = item / (ITEMS - 1)
    drawn = torch.as_tensor(random.random(len(item)))
    falls = drawn < lure * torch.where(user[:, 1] > 0, 0.9, 0.6)
    rises = drawn > 1 - (1 - lure) * 0.6
    level = (level - falls.long() + (rises & ~falls).long()).clamp(0, LEVELS - 1)
    return level, torch.stack([lure, level / (LEVELS - 1)], -1) / VISITS


def seen(seed: int) -> Stored:
    """People who were shown items at random, each with a taste of his own day for luring ones."""
    random = np.random.default_rng(seed)
    user, taste = users(random, PEOPLE), random.random(PEOPLE)
    level = torch.full((PEOPLE,), LEVELS // 2)
    states, items, rewards = [], [], []
    for _ in range(VISITS):
        item = torch.as_tensor(random.binomial(ITEMS - 1, taste))
        states.append(torch.eye(LEVELS)[level])
        level, paid = visited(level, item, user, random)
        items.append(item)
        rewards.append(paid)
    return Stored(user, torch.stack(states, 1), torch.stack(items, 1), torch.stack(rewards, 1).float())


def told(returns: Tensor, how: str) -> Tensor:
    """What a policy is told of both returns `[…, 2]`: both, their sum `[…, 1]`, or nothing, which is 0."""
    if how.startswith("DT4IER"):
        return returns
    return returns.sum(-1, keepdim=True) * (how != "cloning")


def trained(seed: int, how: str, stored: Stored) -> DecisionTransformer:
    """A policy after UPDATES batches of what was seen."""
    torch.manual_seed(seed)
    both = how.startswith("DT4IER")
    preset = DecisionTransformer.presets["dt4ier" if both else "dt"]
    shape = {"observation": LEVELS, "actions": ITEMS, "horizon": VISITS, "user": 2 if both else 0}
    model = DecisionTransformer(Config.model_validate({**shape, **preset}))
    wanted = told(returns_to_go(stored.rewards, torch.ones(stored.items.shape, dtype=torch.bool)), how)
    optimiser, mask = torch.optim.Adam(model.parameters(), 2e-3), torch.ones(BATCH, VISITS, dtype=torch.bool)
    for _ in range(UPDATES):
        rows = torch.randint(PEOPLE, (BATCH,))
        user, states, items = (stored.user[rows] if both else None), stored.states[rows], stored.items[rows]
        found, contrasts = model(wanted[rows], states, items, user), None
        if how == "DT4IER":
            others = [model(wanted[rows].roll(m + 1, 0), states, items, user).vector for m in range(OTHERS)]
            contrasts = contrast(found.vector, model.action(items), torch.stack(others))
        loss = conditioned_loss(found.logits, items, mask, contrasts, coefficient=0.02)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@torch.no_grad()
def lived(model: DecisionTransformer, how: str, pair: Sequence[float], seed: int, people: int = 512) -> Tensor:
    """Both returns that people have, when a pair of them is wanted `[2]`."""
    random, generator = np.random.default_rng(20_000 + seed), torch.Generator().manual_seed(seed)
    user, level = users(random, people), torch.full((people,), LEVELS // 2)
    left = torch.tensor(pair, dtype=torch.float32).expand(people, 2)
    wanted, states, total = [], [], torch.zeros(people, 2)
    items = torch.zeros(people, 0, dtype=torch.long)
    for _ in range(VISITS):
        wanted.append(told(left, how))
        states.append(torch.eye(LEVELS)[level])
        shown = torch.cat([items, torch.zeros(people, 1, dtype=torch.long)], 1)
        known = user if model.balance is not None else None
        logits = model(torch.stack(wanted, 1), torch.stack(states, 1), shown, known).logits[:, -1]
        item = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        level, paid = visited(level, item[:, 0], user, random)
        items, left, total = torch.cat([items, item], 1), left - paid, total + paid
    return total.mean(0)


def wishes(stored: Stored) -> list[tuple[float, float]]:
    """Three pairs that people had, from little at once and much later to the other way round."""
    returns = stored.rewards.sum(1)
    found = []
    for share in (0.1, 0.5, 0.9):
        near = (returns[:, 0] - returns[:, 0].quantile(share)).abs() < 0.05
        found.append((float(returns[near, 0].mean()), float(returns[near, 1].quantile(0.75))))
    return found


def balanced(stored: Stored) -> list[tuple[float, float]]:
    """Pairs that are high in both: means of those shares of people whose worse return was best."""
    returns = stored.rewards.sum(1)
    order = returns.min(1).values.argsort(descending=True)
    means = [returns[order[: int(share * PEOPLE)]].mean(0) for share in (0.01, 0.1, 0.3, 0.6)]
    return [(float(one[0]), float(one[1])) for one in means]


def both_wanted(model: DecisionTransformer, how: str, stored: Stored, seed: int) -> float:
    """The worse return when both are wanted, with the wish that serves this policy best with other people.

    The best that some people had by luck is more than can be had on average; how much may be asked for is found out.
    """
    pairs = balanced(stored)
    tried = [float(lived(model, how, pair, 5000 + seed).min()) for pair in pairs]
    return float(lived(model, how, pairs[int(np.argmax(tried))], seed).min())


def recommended(seed: int, how: str) -> Mapping[str, float]:
    """The worse return when both are wanted; and what is given up and won from one end of the wishes to the other."""
    stored = seen(seed)
    model = trained(seed, how, stored)
    ends = [lived(model, how, pair, seed) for pair in wishes(stored)]
    ordered = all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(ends))
    return {
        "worse return": both_wanted(model, how, stored, seed),
        "at once, from end to end": float(ends[-1][0] - ends[0][0]),
        "later, from end to end": float(ends[0][1] - ends[-1][1]),
        "in order": float(ordered),
    }


def _trades_and_serves_both(found: Found) -> bool:
    """In order with all seeds, and the worse return above that of the sum and of cloning."""
    return min(found.values["DT4IER"]["in order"]) == 1 and all(
        found.above("DT4IER", other, "worse return") for other in ("DT, sum", "cloning")
    )


DT4IER = Check(
    row=227,
    name="multi-reward-decision-transformer",
    claim="Told which of two returns that pull apart are wanted, DT4IER trades one for the other in order, and when "
    "both are wanted the worse one is higher than with their sum as the wish, and than with cloning.",
    arms={how: partial(recommended, how=how) for how in ("cloning", "DT, sum", "DT4IER without contrast", "DT4IER")},
    holds=_trades_and_serves_both,
    seeds=3,
    units={"in order": "share of runs"},
)
