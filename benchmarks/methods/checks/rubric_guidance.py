"""Check of guidance by unmet items: answers of several fields, some of which the policy is sure of, and wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.checks.policy_objectives import group_advantages
from benchmarks.methods.checks.utterances import step
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.written_verdicts import Ints, Writer, taught
from learners.objectives.adaptive_guidance import mixed_policy_losses
from learners.objectives.rubric_guidance import exchanged, guidance, rubric_rewards

QUESTIONS, ITEMS, VALUES, ACCEPTED = 12, 5, 8, 2
"""Questions, items of a rubric (one a field of the answer), values of a field, and how many of them meet its item."""
BLANK = 1 + QUESTIONS
SAID = BLANK + 1
VOCABULARY = SAID + VALUES
WEIGHTS = torch.ones(ITEMS)
SURE = 0.9
"""Chance of the mistaken value in a field in which the first policy errs; others go to all values alike."""
TAUGHT = 400
"""Steps that the first policy is taught for."""
Refining = Literal["never", "where needed", "always"]


def prompts(question: Tensor, slots: Tensor | None = None) -> Tensor:
    """A question, and a draft of the answer whose slots may name what an unmet item asks for `[n, 1 + ITEMS]`."""
    bare = torch.full((len(question), ITEMS), BLANK)
    return torch.cat([1 + question[:, None], bare if slots is None else slots], 1)


@cache
def beginner(seed: int) -> tuple[Writer, Tensor]:
    """A policy that half knows three fields in five, errs in the others, and can copy a draft; and what is accepted.

    What is accepted is `[QUESTIONS, ITEMS, ACCEPTED]`, in tokens.
    """
    random = np.random.default_rng(seed)
    order = random.permuted(np.tile(np.arange(VALUES), (QUESTIONS, ITEMS, 1)), axis=-1)
    accepted, mistaken = SAID + order[..., :ACCEPTED], SAID + order[..., ACCEPTED]
    errs = random.random((QUESTIONS, ITEMS)) < 0.4

    def draw(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
        question, drafted = random.integers(0, QUESTIONS, number), random.random(number) < 0.5
        slots = np.where(drafted[:, None], SAID + random.integers(0, VALUES, (number, ITEMS)), BLANK)
        return np.concatenate([1 + question[:, None], slots], 1), question

    def traces(random: np.random.Generator, prompts: Ints) -> Ints:
        question, slots = prompts[:, 0] - 1, prompts[:, 1:]
        either = random.integers(0, ACCEPTED, slots.shape)
        known = np.take_along_axis(accepted[question], either[..., None], -1)[..., 0]
        thought = np.where(errs[question], mistaken[question], known)
        sure = random.random(slots.shape) < np.where(errs[question], SURE, 0.5)
        own = np.where(sure, thought, SAID + random.integers(0, VALUES, slots.shape))
        return np.where(slots == BLANK, own, slots)

    return taught(Writer(seed, VOCABULARY, 1 + 2 * ITEMS), draw, traces, seed, TAUGHT), torch.as_tensor(accepted)


def met(accepted: Tensor, question: Tensor, made: Tensor) -> Tensor:
    """1 for each item that an answer meets, else 0 `[n, ITEMS]`."""
    return (made[..., None] == accepted[question]).any(-1).float()


def asked_for(accepted: Tensor, question: Tensor, draft: Tensor, unmet: Tensor, generator: torch.Generator) -> Tensor:
    """Drafts in which each unmet item says what it asks for, one of what is accepted `[n, ITEMS]`."""
    either = torch.randint(ACCEPTED, draft.shape, generator=generator)
    return torch.where(unmet, accepted[question].gather(-1, either[..., None])[..., 0], draft)


def examined(policy: Writer, accepted: Tensor, generator: torch.Generator, answers: int = 64) -> tuple[Tensor, float]:
    """Items that answers without any help meet `[QUESTIONS, answers, ITEMS]`, and the entropy of a field."""
    again = torch.arange(QUESTIONS).repeat_interleave(answers)
    with torch.no_grad():
        made = policy.write(prompts(again), ITEMS, generator)
        chances = policy.logits(prompts(again), made).log_softmax(-1)
    entropy = float(-(chances.exp() * chances).sum(-1).mean())
    return met(accepted, again, made).view(QUESTIONS, answers, ITEMS), entropy


def learnt(
    seed: int, refining: Refining, dense: bool = True, updates: int = 100, members: int = 9
) -> Mapping[str, float]:
    """What a policy can do without help after training.

    Args:
        seed: of everything.
        refining: where a ninth answer is a refinement of the best of eight.
        dense: whether the share of items is paid; else all of them or nothing.
        updates: batches of all questions.
        members: answers to each, refinements included.
    """
    first, accepted = beginner(seed)
    policy, generator = copy.deepcopy(first), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
    questions = torch.arange(QUESTIONS)

    own, helped = members - (refining != "never"), 0.0
    asked = questions.repeat_interleave(own)
    bare = prompts(asked)
    for _ in range(updates):
        made = policy.write(bare, ITEMS, generator)
        with torch.no_grad():
            old = policy.log_probs(bare, made)
        items = met(accepted, asked, made).view(QUESTIONS, own, ITEMS)
        rewards = rubric_rewards(items, WEIGHTS) if dense else items.prod(-1)
        foreign = torch.zeros(QUESTIONS, own, dtype=torch.bool)
        if refining != "never":
            found = guidance(items, WEIGHTS)
            draft = made.view(QUESTIONS, own, ITEMS)[questions, found.best]
            refined = policy.write(
                prompts(questions, asked_for(accepted, questions, draft, found.unmet, generator)), ITEMS, generator
            )
            worth = rubric_rewards(met(accepted, questions, refined)[:, None], WEIGHTS)[:, 0]
            bar = found.bar if refining == "where needed" else rewards.amin(1)
            foreign = exchanged(rewards, worth, bar)
            helped += float(foreign.any(1).float().mean()) / updates
            rewards = torch.where(foreign, worth[:, None], rewards)
            made = torch.where(foreign.view(-1, 1), refined.repeat_interleave(own, 0), made)
        gain = group_advantages(rewards).flatten()
        losses = mixed_policy_losses(policy.log_probs(bare, made), old, gain, foreign.flatten())
        step(optimiser, losses.mean(), policy)
    items, entropy = examined(policy, accepted, generator)
    right = items.prod(-1).view(QUESTIONS, 8, 8)
    return {
        "items met": float(items.mean()),
        "pass@1": float(right.mean()),
        "pass@8": float(right.amax(-1).mean()),
        "entropy": entropy,
        "groups helped": helped,
    }


def _gated_is_best(found: Found) -> bool:
    """Dense above sparse, and help where it is needed above none and above help everywhere, with entropy left."""
    gated = "rubric, refined where needed"
    return (
        found.above("rubric", "all or nothing", "pass@8")
        and all(found.above(gated, other, "pass@8") for other in ("rubric", "rubric, refined always"))
        and found.above(gated, "rubric", "entropy")
    )


RGR_GRPO = Check(
    row=189,
    name="rubric-reward-and-guidance",
    claim="Where a policy is sure of some fields of its answers, and wrong, the share of items brings more pass@8 than "
    "all or nothing; refinements of the best answer in groups without a full one bring more than none, with more "
    "entropy left, and more than refinements in every group.",
    arms={
        "all or nothing": lambda seed: learnt(seed, "never", dense=False),
        "rubric": lambda seed: learnt(seed, "never"),
        "rubric, refined where needed": lambda seed: learnt(seed, "where needed"),
        "rubric, refined always": lambda seed: learnt(seed, "always"),
    },
    holds=_gated_is_best,
    units={
        "items met": "share of items",
        "pass@1": "share of answers",
        "pass@8": "share of eights of answers",
        "entropy": "nats a field",
        "groups helped": "share of groups",
    },
)
