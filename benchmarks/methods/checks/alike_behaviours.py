"""Check of representations from similarity: short paths, of which people mind four features and see twenty numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from learners.language.reward_losses import bradley_terry
from learners.objectives.similarity_triplets import most_alike, similarity_triplets

NUMBERS, CAUSAL, STEPS, EMBEDDING = 20, 4, 4, 6
"""Numbers of a state, features that count, states of a path, and numbers of an embedding."""
TRIPLETS, PEOPLE, ASKED, TESTED = 500, 3, (10, 30, 100), 500
Paths = Callable[[Tensor], Tensor]
"""From paths `[N, STEPS, NUMBERS]`, a vector each."""


class Features:
    """What people mind: four numbers of a state, each a bent function of two of those that are seen."""

    def __init__(self, generator: torch.Generator) -> None:
        """Random directions."""
        self._ways = torch.randn(CAUSAL, 2, generator=generator)
        self._ways *= 1.5 / self._ways.norm(dim=-1, keepdim=True)

    def __call__(self, paths: Tensor) -> Tensor:
        """Mean over a path `[N, CAUSAL]`."""
        pairs = paths[..., : 2 * CAUSAL].unflatten(-1, (CAUSAL, 2))
        found: Tensor = (pairs * self._ways).sum(-1).tanh().mean(1)
        return found


def drawn(number: int, generator: torch.Generator) -> Tensor:
    """Paths that wander a little from where they begin; what nobody minds varies twice as much."""
    start = torch.randn(number, 1, NUMBERS, generator=generator)
    wander = 0.3 * torch.randn(number, STEPS, NUMBERS, generator=generator)
    scale = torch.where(torch.arange(NUMBERS) < 2 * CAUSAL, 1.0, 2.0)
    return (start + wander) * scale


def encoder() -> nn.Sequential:
    """Of states, from torch's generator."""
    return nn.Sequential(nn.Linear(NUMBERS, 64), nn.ReLU(), nn.Linear(64, EMBEDDING))


def of_paths(states: nn.Module) -> Paths:
    """Mean of what a network makes of the states."""
    return lambda paths: states(paths).mean(1)


def trained(module: nn.Module, loss: Callable[[], Tensor], steps: int, rate: float, decay: float = 0.0) -> None:
    """Adam on a loss, in place."""
    optimiser = torch.optim.AdamW(module.parameters(), rate, weight_decay=decay)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


def represented(arm: str, minded: Features, generator: torch.Generator) -> Paths:
    """What rewards are learnt on: an embedding that stays as it is.

    Args:
        arm: `similarity`, `reconstruction` or `random`.
        minded: what answers to questions go by.
        generator: of paths and batches.
    """
    body = encoder()
    asked = drawn(3 * TRIPLETS, generator)
    if arm == "similarity":
        three = asked.view(TRIPLETS, 3, STEPS, NUMBERS)
        order = most_alike(minded(asked).view(TRIPLETS, 3, CAUSAL))
        three = three[torch.arange(TRIPLETS)[:, None], order]

        def alike() -> Tensor:
            rows = torch.randint(TRIPLETS, (64,), generator=generator)
            embedded = body(three[rows]).mean(2)
            return similarity_triplets(*embedded.unbind(1)).mean()

        trained(body, alike, 500, 3e-3, decay=0.1)
    elif arm == "reconstruction":
        back = nn.Sequential(nn.Linear(EMBEDDING, 64), nn.ReLU(), nn.Linear(64, NUMBERS))

        def rebuilt() -> Tensor:
            rows = torch.randint(len(asked), (192,), generator=generator)
            found: Tensor = (back(body(asked[rows])) - asked[rows]).square().mean()
            return found

        trained(nn.ModuleList([body, back]), rebuilt, 500, 3e-3)
    with torch.no_grad():
        embedded = body(asked).mean(1)
        mean, deviation = embedded.mean(0), embedded.std(0) + 1e-6

    @torch.no_grad()
    def scaled(paths: Tensor) -> Tensor:
        found: Tensor = (body(paths).mean(1) - mean) / deviation
        return found

    return scaled


def rewarded(known: Paths | None, pairs: Tensor, label: Tensor) -> tuple[Paths, Paths]:
    """A reward learnt from preferences, and the embedding that it is linear in; with none known, that is learnt too.

    Args:
        known: an embedding that stays as it is.
        pairs: paths `[2, P, STEPS, NUMBERS]`.
        label: 1 where the first was preferred `[P]`.
    """
    states = nn.Sequential(nn.Linear(NUMBERS, 32), nn.ReLU(), nn.Linear(32, EMBEDDING), nn.ReLU())
    head, seen = nn.Linear(EMBEDDING, 1), known or of_paths(states)

    def reward(paths: Tensor) -> Tensor:
        found: Tensor = head(seen(paths))[:, 0]
        return found

    def loss() -> Tensor:
        return bradley_terry(reward(pairs[0]), reward(pairs[1]), soft_labels=label).mean()

    trained(nn.ModuleList([head] if known else [states, head]), loss, 100, 1e-2, decay=0.1)
    return reward, seen


def taught(seed: int, arm: str) -> Mapping[str, float]:
    """How often rewards learnt from few preferences order new paths as people do, and what the embedding knows.

    Args:
        seed: of everything.
        arm: as of `represented`, or `preferences`: a network from states to a reward, and nothing before.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    minded = Features(generator)
    known = None if arm == "preferences" else represented(arm, minded, generator)
    same = torch.Generator().manual_seed(100 + seed)  # people, pairs and labels are the same for all arms
    people = torch.randn(PEOPLE, CAUSAL, generator=same)
    people = people / people.norm(dim=-1, keepdim=True)
    pairs = drawn(2 * (max(ASKED) + TESTED), same).view(2, -1, STEPS, NUMBERS)
    gaps = (minded(pairs[0]) - minded(pairs[1])) @ people.T
    told = torch.bernoulli((6 * gaps).sigmoid(), generator=same)
    new = slice(max(ASKED), None)
    ordered, knows = {f"{number} preferences": 0.0 for number in ASKED}, 0.0
    for person in range(PEOPLE):
        for number in ASKED:
            reward, seen = rewarded(known, pairs[:, :number], told[:number, person])
            with torch.no_grad():
                apart = reward(pairs[0, new]) - reward(pairs[1, new])
            right = (apart > 0) == (gaps[new, person] > 0)
            ordered[f"{number} preferences"] += float(right.float().mean()) / PEOPLE
        knows += probe(seen, minded, same) / PEOPLE  # after the most preferences
    return {**ordered, "known of the features": knows}


@torch.no_grad()
def probe(embedding: Paths, minded: Features, generator: torch.Generator) -> float:
    """Share of the variance of the features that is linear in the embedding, on new paths."""
    fitted, tested = drawn(1000, generator), drawn(1000, generator)
    ones = [np.column_stack([embedding(paths).double().numpy(), np.ones(len(paths))]) for paths in (fitted, tested)]
    truth = [minded(paths).double().numpy() for paths in (fitted, tested)]
    weights = np.linalg.lstsq(ones[0], truth[0], rcond=None)[0]
    rest = ((truth[1] - ones[1] @ weights) ** 2).sum(0) / ((truth[1] - truth[1].mean(0)) ** 2).sum(0)
    return float(1 - rest.mean())


OTHERS = ("preferences alone", "reconstruction", "random embedding")


def _knows_what_counts(found: Found) -> bool:
    measures = [*(f"{number} preferences" for number in ASKED), "known of the features"]
    return all(found.above("SIRL", other, measure) for other in OTHERS for measure in measures)


SIRL = Check(
    row=63,
    name="similarity-query-representation",
    claim="On an embedding that was learnt from which two of three paths are the more alike, rewards of 10, of 30 and "
    "of 100 preferences order new paths as their person does more often than those of a network taught with these "
    "preferences alone, and than on an embedding that rebuilds states or on a random one; and it knows more of the "
    "features that count.",
    arms={
        "SIRL": lambda seed: taught(seed, "similarity"),
        "preferences alone": lambda seed: taught(seed, "preferences"),
        "reconstruction": lambda seed: taught(seed, "reconstruction"),
        "random embedding": lambda seed: taught(seed, "random"),
    },
    holds=_knows_what_counts,
    units={**{f"{n} preferences": "share of pairs" for n in ASKED}, "known of the features": "R²"},
)
