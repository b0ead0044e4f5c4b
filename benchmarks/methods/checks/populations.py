"""Checks of reward models for people who do not agree: tastes of groups, and goals in a maze that lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import MDP, grid
from learners.language.reward_losses import agreement, bradley_terry
from rewards.models.preference_mixture import PreferenceMixture, hedged, mixture_loss
from rewards.models.variational_preference import Latent, VariationalPreference, negative_elbo

# --- 40: groups with tastes of their own ------------------------------------------------------------------------------

GROUPS, SIZE, STRENGTH, SHOWN = 3, 8, 3.0, (0, 5, 20, 50)
"""Groups, numbers of an answer's features, length of a taste, and pairs that are known of a person."""


class Pairs(NamedTuple):
    """Prompts `[N, 4]` of a kind `[N]` each, and answers of which the first was preferred `[N, 2, SIZE]`."""

    kind: Tensor
    prompts: Tensor
    answers: Tensor


class Population:
    """Groups of people with a linear taste each; each group asks one kind of prompts more than the others."""

    def __init__(self, seed: int) -> None:
        """Tastes and prompts, drawn."""
        self.generator = torch.Generator().manual_seed(seed)
        self.share = 0.15 + 0.55 * torch.eye(GROUPS)  # of groups among those who ask a kind of prompt, and back
        self.centre = self.normal(GROUPS, 4)
        self.taste = STRENGTH * torch.nn.functional.normalize(self.normal(GROUPS, SIZE), dim=-1)

    def normal(self, *shape: int) -> Tensor:
        """Numbers of a standard normal distribution."""
        return torch.randn(shape, generator=self.generator)

    def pairs(self, group: Tensor) -> Pairs:
        """What people of these groups `[N]` asked and preferred."""
        kind = torch.multinomial(self.share[group], 1, generator=self.generator)[:, 0]
        answers = self.normal(len(group), 2, SIZE)
        likes = (answers * self.taste[group][:, None]).sum(-1)
        swapped = torch.rand(len(group), generator=self.generator) > (likes[:, 0] - likes[:, 1]).sigmoid()
        answers = torch.where(swapped[:, None, None], answers.flip(1), answers)
        return Pairs(kind, self.centre[kind] + 0.3 * self.normal(len(group), 4), answers)

    def anybody(self, number: int) -> Tensor:
        """Groups of people at random `[N]`."""
        return torch.randint(GROUPS, (number,), generator=self.generator)

    def truth(self, pairs: Pairs) -> Tensor:
        """The chance that the first answer is preferred by whoever asks such a prompt `[N]`."""
        gaps = (pairs.answers[:, 0] - pairs.answers[:, 1]) @ self.taste.T
        return (self.share[pairs.kind] * gaps.sigmoid()).sum(-1)

    def ordered(self, pairs: Pairs, group: int) -> Tensor:
        """The same answers, with the one first that the group truly likes more `[N, 2, SIZE]`."""
        likes = pairs.answers @ self.taste[group]
        return torch.where((likes[:, 0] < likes[:, 1])[:, None, None], pairs.answers.flip(1), pairs.answers)


def distance(truth: Tensor, said: Tensor) -> float:
    """Mean KL of what a model says of pairs to their true chances, in nats."""
    chances = [torch.stack([p, 1 - p]).double().clamp(1e-9, 1) for p in (truth, said)]
    return float((chances[0] * (chances[0] / chances[1]).log()).sum(0).mean())


def of_many(seed: int, heads: int, number: int = 3000, steps: int = 400, people: int = 10) -> Mapping[str, float]:
    """A mixture that is learnt from pairs of strangers, and then hears a few pairs of each new person.

    Args:
        seed: of everything.
        heads: of the mixture; with one it is Bradley-Terry.
        number: pairs of strangers.
        steps: of gradient, on all pairs.
        people: new ones of each group.
    """
    population = Population(seed)
    model = PreferenceMixture(SIZE, 4, heads, seed=seed)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    known = population.pairs(population.anybody(number))

    def gaps(pairs: Pairs) -> tuple[Tensor, Tensor]:
        mixed = model(pairs.prompts[:, None], pairs.answers)
        return mixed.log_weights[:, 0], mixed.rewards[:, 0] - mixed.rewards[:, 1]

    for _ in range(steps):
        optimiser.zero_grad()
        mixture_loss(*gaps(known), entropy=0.01).mean().backward()
        optimiser.step()

    fresh = population.pairs(population.anybody(4000))
    with torch.no_grad():
        said = (-mixture_loss(*gaps(fresh))).exp()
        right: dict[int, list[float]] = {shown: [] for shown in SHOWN}
        for group in range(GROUPS):
            for _ in range(people):
                own, new = (population.pairs(torch.full((n,), group)) for n in (max(SHOWN), 400))
                told, mixed = gaps(own)[1], model(new.prompts[:, None], population.ordered(new, group))
                for shown in SHOWN:
                    weights = hedged(mixed.log_weights, told[:shown]).exp()
                    scores = (weights * mixed.rewards).sum(-1)
                    right[shown].append(float(agreement(scores[:, 0], scores[:, 1]).mean()))
    return {
        "distance to the truth": distance(population.truth(fresh), said),
        **{f"right after {shown} pairs": float(np.mean(right[shown])) for shown in SHOWN},
    }


def of_one(seed: int, steps: int = 300, people: int = 10) -> Mapping[str, float]:
    """A model for each person of their own pairs alone, with the variance of tastes as its prior."""
    population = Population(seed)
    group = torch.arange(GROUPS).repeat_interleave(people)
    pairs = [population.pairs(torch.full((max(SHOWN) + 400,), int(g))) for g in group]
    own = torch.stack([p.answers[: max(SHOWN)] for p in pairs])
    new = torch.stack([population.ordered(p, int(g))[max(SHOWN) :] for p, g in zip(pairs, group, strict=True)])
    found = {}
    for shown in SHOWN:
        taste = torch.zeros(len(group), SIZE, requires_grad=True)
        optimiser = torch.optim.Adam([taste], 0.05)
        for _ in range(steps):
            likes = (own[:, :shown] * taste[:, None, None]).sum(-1)
            loss = bradley_terry(likes[..., 0], likes[..., 1]).sum() + 0.5 * SIZE / STRENGTH**2 * taste.square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        scores = (new * taste.detach()[:, None, None]).sum(-1)
        found[f"right after {shown} pairs"] = float(agreement(scores[..., 0], scores[..., 1]).mean())
    fresh = population.pairs(population.anybody(4000))  # of whom it knows nothing
    return {"distance to the truth": distance(population.truth(fresh), torch.full((4000,), 0.5)), **found}


def _knows_many_and_each(found: Found) -> bool:
    """Nearer to the truth, better the more is shown, and better than one for all and than one for each."""
    rising = [found.mean("MiCRo", f"right after {shown} pairs") for shown in SHOWN]
    return (
        found.below("MiCRo", "Bradley-Terry", "distance to the truth")
        and all(one < other for one, other in pairwise(rising))
        and found.above("MiCRo", "Bradley-Terry", "right after 5 pairs", by=0.05)
        and found.above("MiCRo", "of own pairs", "right after 5 pairs", by=0.05)
    )


MICRO = Check(
    row=40,
    name="mixture-reward-routing",
    claim="Learnt from pairs of strangers of three tastes, a mixture is nearer to the true chances than one "
    "Bradley-Terry model; with 5, 20 and 50 pairs of a person it is right ever more often of them, and with 5 by more "
    "than 0.05 more often than one model for all, or one of the person's own pairs.",
    arms={
        "Bradley-Terry": lambda seed: of_many(seed, heads=1),
        "of own pairs": of_one,
        "MiCRo": lambda seed: of_many(seed, heads=5),
    },
    holds=_knows_many_and_each,
    units={"distance to the truth": "nats", **{f"right after {shown} pairs": "share of pairs" for shown in SHOWN}},
)


# --- 19: goals that lie apart -----------------------------------------------------------------------------------------

SIDE, LATENT, MOST, TOLD = 6, 4, 8, 6
"""Cells of a side of the maze, numbers of z, most choices of a person in training, and choices of a new person."""
CELLS = torch.cartesian_prod(*[torch.linspace(-1, 1, SIDE)] * 2)
"""Where the cells are `[36, 2]`."""
GOALS = (SIDE - 1, SIDE * (SIDE - 1))
"""Cells of two opposite corners, one for each group."""
NEAR = torch.stack([-(CELLS - CELLS[goal]).norm(dim=-1) for goal in GOALS])
"""What a cell is worth to each group `[2, 36]`: minus its distance to the goal."""
SHARP = torch.tensor([3.0, 9.0])
"""How surely each group prefers what is nearer: their rewards have different scales."""


def choices(group: Tensor, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cells that people of these groups preferred, and to which `[B, N]` each."""
    cells = torch.rand(len(group), number, len(CELLS), generator=generator).argsort(-1)[..., :2]  # two different ones
    worth = SHARP[group][:, None, None] * NEAR[group][:, None].expand(-1, number, -1).gather(-1, cells)
    swapped = torch.rand(worth.shape[:-1], generator=generator) > (worth[..., 0] - worth[..., 1]).sigmoid()
    cells = torch.where(swapped[..., None], cells.flip(-1), cells)
    return cells[..., 0], cells[..., 1]


@cache
def learnt(seed: int, personal: bool, steps: int = 600, people: int = 300, batch: int = 128) -> VariationalPreference:
    """A model of people of two groups, with a latent for each or with a latent of zero for all."""
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = choices(torch.arange(people) % 2, MOST, generator)
    model = VariationalPreference(size=2, latent=LATENT, hidden=48, seed=seed)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    nothing = torch.zeros(batch, LATENT)
    for _ in range(steps):
        who = torch.randperm(people, generator=generator)[:batch]
        number = int(torch.randint(1, MOST + 1, (), generator=generator))
        good, bad = (CELLS[cells[who, :number]] for cells in (chosen, rejected))
        latent = model.infer(good, bad) if personal else Latent(nothing, nothing)
        z = latent.drawn(generator) if personal else nothing
        loss = negative_elbo(model.reward(good, z), model.reward(bad, z), latent).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def silhouette(points: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    """How much nearer points are to their own of two groups than to the other, from −1 to 1; 0 if all are one."""
    between = np.linalg.norm(points[:, None] - points[None], axis=-1)
    own = group[:, None] == group[None]
    inside, outside = (between * own).sum(1) / (own.sum(1) - 1), (between * ~own).sum(1) / (~own).sum(1)
    largest = np.maximum(inside, outside)
    return float(np.where(largest > 0, (outside - inside) / np.where(largest > 0, largest, 1.0), 0.0).mean())


def end(reward: NDArray[np.float64], steps: int = 12) -> int:
    """Where the best policy for rewards of cells `[36]` ends, from a cell near the middle."""
    cells = len(reward)
    moves = grid(SIDE).transition
    start = np.eye(cells)[cells // 2 - SIDE // 2 - 1]
    maze = MDP(moves, np.broadcast_to(reward, moves.shape), start, np.zeros(cells, np.bool_), 0.97)
    policy, at = maze.solve(sweeps=400).argmax(1), int(start.argmax())
    for _ in range(steps):
        at = int(moves[at, policy[at]].argmax())
    return at


def of_goals(seed: int, personal: bool, rates: bool, people: int = 40) -> Mapping[str, float]:
    """Rewards, latents and policies for new people of two groups, each of whom has told a few choices.

    Args:
        seed: of everything.
        personal: whether people have a latent.
        rates: whether a reward is how often a cell is preferred to the others.
        people: new ones.
    """
    model, generator = learnt(seed, personal), torch.Generator().manual_seed(10_000 + seed)
    group = torch.arange(people) % 2
    good, bad = (CELLS[cells] for cells in choices(group, TOLD, generator))
    everywhere = CELLS[None].expand(people, -1, -1)
    with torch.no_grad():
        z = model.infer(good, bad).mean if personal else torch.zeros(people, LATENT)
        reward = model.rate(everywhere, everywhere, z) if rates else model.reward(everywhere, z)
    one, other = torch.combinations(torch.arange(len(CELLS))).unbind(1)
    conflict = (NEAR[0, one] - NEAR[0, other]) * (NEAR[1, one] - NEAR[1, other]) < 0
    one, other = one[conflict], other[conflict]
    first = torch.where(NEAR[group][:, one] > NEAR[group][:, other], one, other)
    second = one + other - first
    right = agreement(reward.gather(1, first), reward.gather(1, second)).mean()
    ends = [end(row) for row in reward.double().numpy()]
    spread = torch.stack([reward[group == g].std(1).mean() for g in (0, 1)])
    return {
        "right where they conflict": float(right),
        "silhouette of latents": silhouette(z.double().numpy(), group.numpy()),
        "goals reached": float(np.mean([at == GOALS[g] for at, g in zip(ends, group.tolist(), strict=True)])),
        "larger scale over smaller": float(spread.max() / spread.min()),
    }


def _two_goals(found: Found) -> bool:
    """One reward for all is a coin, VPL is not; its rates are on scales nearer to each other."""
    right = "right where they conflict"
    low, high = found.interval("Bradley-Terry", right)
    return (
        0.45 < low <= high < 0.55
        and found.interval("VPL", right)[0] > 0.9
        and found.interval("VPL", "silhouette of latents")[0] > 0.5
        and all(found.interval(arm, "goals reached")[0] > 0.9 for arm in ("VPL", "VPL-SPO"))
        and found.below("VPL-SPO", "VPL", "larger scale over smaller")
    )


VPL = Check(
    row=19,
    name="variational-preference-rm",
    claim="Where two groups want to be in opposite corners, one reward for all is right of half of the pairs in "
    "conflict; with a latent of six choices it is right of more than 0.9, latents are apart (silhouette above 0.5), "
    "more than 0.9 of people are brought to their goal, and rates bring the groups' scales nearer to each other.",
    arms={
        "Bradley-Terry": lambda seed: of_goals(seed, personal=False, rates=False),
        "VPL": lambda seed: of_goals(seed, personal=True, rates=False),
        "VPL-SPO": lambda seed: of_goals(seed, personal=True, rates=True),
    },
    holds=_two_goals,
    units={"right where they conflict": "share of pairs", "goals reached": "share of people"},
)
