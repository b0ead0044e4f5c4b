"""Check of a reward model that learns from a pool of policies, without labels, before people are asked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from learners.language.reward_losses import agreement, bradley_terry
from rewards.models.policy_discriminator import PolicyDiscriminator, Triples, of_one_policy, of_rankings

WORDS, LENGTH, STYLE, STRENGTH = 8, 16, 3, 0.7
"""Tokens, those of a trajectory, numbers of a policy's style, and how much each says about what follows what."""
POOL, TUTORS, NEW = 30, 10, 12
"""Policies that are told apart before, that people wish for when they teach, and when they are asked again."""
LABELS, COPIES = 50, 4
"""Preferences in all, and trajectories of each policy in a batch."""
AFTER = (50, 200, 800)
"""Steps of pre-training after which the model is looked at."""


class World:
    """Policies that write tokens by what stood before, each in a style of its own; a prompt is the first token."""

    def __init__(self, seed: int) -> None:
        """Styles, drawn."""
        self.generator = torch.Generator().manual_seed(seed)
        plain, ways = self.normal(WORDS, WORDS), STRENGTH * self.normal(STYLE, WORDS * WORDS)
        styles = self.normal(POOL + TUTORS + NEW, STYLE)
        self.chances = (plain + (styles @ ways).view(-1, WORDS, WORDS)).softmax(-1)

    def normal(self, *shape: int) -> Tensor:
        """Numbers of a standard normal distribution."""
        return torch.randn(shape, generator=self.generator)

    def write(self, policy: Tensor, prompt: Tensor) -> Tensor:
        """A trajectory of each policy `[N]` after each prompt `[N]`, `[N, LENGTH]`."""
        words = [prompt]
        for _ in range(LENGTH):
            words.append(torch.multinomial(self.chances[policy, words[-1]], 1, generator=self.generator)[:, 0])
        return torch.stack(words[1:], 1)

    def likelihood(self, policy: Tensor, prompt: Tensor, words: Tensor) -> Tensor:
        """Log-probability of trajectories `[N, LENGTH]` under a policy each `[N]`."""
        before = torch.cat([prompt[:, None], words[:, :-1]], 1)
        return self.chances[policy[:, None], before, words].log().sum(-1)

    def batch(self, policies: range) -> tuple[Tensor, Tensor, Triples]:
        """Prompts, trajectories of some policies on one prompt, and triples of them."""
        policy = torch.arange(policies.start, policies.stop).repeat_interleave(COPIES)
        prompt = torch.randint(WORDS, (1,), generator=self.generator).expand(len(policy))
        return prompt, self.write(policy, prompt), of_one_policy(policy, prompt, self.generator)

    def preferences(self, wishes: range, number: int) -> tuple[Tensor, Tensor, Triples]:
        """Prompts, and trajectories that people have ranked: each wishes for a policy, and shows what it would write.

        Of three trajectories, one of the wished policy and two of others, people rank by their likelihood under it.
        """
        wish = torch.randint(wishes.start, wishes.stop, (number,), generator=self.generator)
        others = torch.randint(len(self.chances), (number, 2), generator=self.generator)
        policy, group = torch.cat([wish[:, None], others], 1).flatten(), torch.arange(number).repeat_interleave(3)
        prompt = torch.randint(WORDS, (number,), generator=self.generator)[group]
        words = self.write(policy, prompt)
        return prompt, words, of_rankings(self.likelihood(wish[group], prompt, words), group)


def scores(model: PolicyDiscriminator, prompt: Tensor, words: Tensor, triples: Triples) -> tuple[Tensor, Tensor]:
    """Of the chosen and of the rejected trajectories, given their references `[P]` each."""
    asked, shown = prompt[triples.reference][:, None], words[triples.reference]
    return model(asked, shown, words[triples.chosen]), model(asked, shown, words[triples.rejected])


def step(model: PolicyDiscriminator, optimiser: torch.optim.Optimizer, data: tuple[Tensor, Tensor, Triples]) -> None:
    """One step of Bradley-Terry on triples."""
    optimiser.zero_grad()
    bradley_terry(*scores(model, *data)).mean().backward()
    optimiser.step()


@cache
def pretrained(seed: int) -> Mapping[int, PolicyDiscriminator]:
    """The model as it is after so many steps of telling the pool apart; none of them may be trained."""
    world, model = World(seed), PolicyDiscriminator(WORDS, seed=seed)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    found = {0: copy.deepcopy(model)}
    for count in range(1, max(AFTER) + 1):
        step(model, optimiser, world.batch(range(POOL)))
        if count in AFTER:
            found[count] = copy.deepcopy(model)
    return found


def taught(seed: int, before: int, steps: int = 60) -> Mapping[str, float]:
    """What a model has learnt from the pool and then from a few preferences.

    Args:
        seed: of everything.
        before: steps of pre-training.
        steps: on the preferences, all of them at each.
    """
    model, world = copy.deepcopy(pretrained(seed)[before]), World(seed)
    world.generator.manual_seed(10_000 + seed)  # the same policies, new trajectories
    teaching = world.preferences(range(POOL, POOL + TUTORS), LABELS)
    unseen = range(POOL + TUTORS, POOL + TUTORS + NEW)
    with torch.no_grad():
        batches = [world.batch(unseen) for _ in range(20)]
        loss = np.mean([float(bradley_terry(*scores(model, *batch)).mean()) for batch in batches])
        first = np.mean([copies_first(model, world, unseen) for _ in range(8)])
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        step(model, optimiser, teaching)
    with torch.no_grad():
        right = agreement(*scores(model, *world.preferences(unseen, 800))).mean()
    return {"right": float(right), "loss before preferences": float(loss), "copies ranked first": float(first)}


def copies_first(model: PolicyDiscriminator, world: World, policies: range) -> float:
    """Of policies, the share whose own trajectories score highest on average where one of theirs is the reference."""
    policy = torch.arange(policies.start, policies.stop).repeat_interleave(COPIES)
    prompt = torch.randint(WORDS, (1,), generator=world.generator).expand(len(policy))
    shown, tried = world.write(policy, prompt), world.write(policy, prompt)
    one, other = torch.cartesian_prod(torch.arange(len(policy)), torch.arange(len(policy))).unbind(1)
    found = model(prompt[one][:, None], shown[one], tried[other])
    table = found.view(len(policies), COPIES, len(policies), COPIES).mean((1, 3))
    return float((table.argmax(1) == torch.arange(len(policies))).float().mean())


def arm(count: int) -> str:
    """Name of the arm with so many steps of pre-training."""
    return f"{count} steps before"


def _power_law(found: Found) -> bool:
    """Preferences are met more often, copies come first, and the loss falls with every fourfold of pre-training."""
    last, loss = arm(max(AFTER)), "loss before preferences"
    curves = np.log([found.values[arm(count)][loss] for count in AFTER])  # [counts, seeds]
    slopes = np.polyfit(np.log(AFTER), curves, 1)[0]
    return (
        all(found.above(last, other, "right", by=0.05) for other in ("preferences alone", "as long on preferences"))
        and bool((slopes < 0).all())
        and bool((np.diff(curves.mean(1)) < 0).all())
        and found.interval(last, "copies ranked first")[0] > 0.5
    )


POLAR = Check(
    row=13,
    name="policy-discriminator-rm",
    claim="Having told 30 policies apart, a reward model meets the wishes of new people by 50 preferences of others by "
    "more than 0.05 more often than from those alone; its loss on policies that it never saw falls with every fourfold "
    "of pre-training, and copies of more than half of those score highest of 12 where they are the reference.",
    arms={
        "preferences alone": lambda seed: taught(seed, 0),
        "as long on preferences": lambda seed: taught(seed, 0, steps=60 + max(AFTER)),
        **{arm(count): partial(taught, before=count) for count in AFTER},
    },
    holds=_power_law,
    units={"right": "share of pairs", "loss before preferences": "nats", "copies ranked first": "share of policies"},
)
