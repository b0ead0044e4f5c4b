"""Check of hindsight experience: the questions of `rubric_guidance`, answered anew by what the best answers missed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import torch

from benchmarks.methods.checks.policy_objectives import group_advantages
from benchmarks.methods.checks.rubric_guidance import (
    ITEMS,
    QUESTIONS,
    WEIGHTS,
    asked_for,
    beginner,
    examined,
    met,
    prompts,
)
from benchmarks.methods.checks.utterances import step
from benchmarks.methods.experiment import Check, Found
from learners.objectives.adaptive_guidance import mixed_policy_losses
from learners.objectives.hindsight import replacements, to_rewrite, with_potential
from learners.objectives.rubric_guidance import rubric_rewards

MEMBERS, REWRITES, UPDATES = 9, 2, 100
"""Answers to each question at most, rewrites of it at most, and batches of all questions."""
Weighing = Literal["f of the ratio", "the ratio", "as its own"]
"""How tokens of rewrites are learnt from: shaped, by the ratio alone, or as if the policy had written them unhelped."""


def learnt(
    seed: int, rewrites: int = REWRITES, alpha: float = 0.05, weighing: Weighing = "f of the ratio"
) -> Mapping[str, float]:
    """What a policy can do without help after training.

    Args:
        seed: of everything.
        rewrites: of each question at most; 0: GRPO. As many fewer answers are written without help.
        alpha: α of the bonus.
        weighing: of the tokens of rewrites.
    """
    first, accepted = beginner(seed)
    policy, generator = copy.deepcopy(first), torch.Generator().manual_seed(seed)
    hopeless = examined(first, accepted, torch.Generator().manual_seed(seed))[0].prod(-1).sum(1) == 0
    optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
    own, written = MEMBERS - rewrites, 0.0
    asked = torch.arange(QUESTIONS).repeat_interleave(own)
    bare = prompts(asked)
    for _ in range(UPDATES):
        made = policy.write(bare, ITEMS, generator)
        with torch.no_grad():
            old = policy.log_probs(bare, made)
        items = met(accepted, asked, made)
        rewards = rubric_rewards(items.view(QUESTIONS, own, ITEMS), WEIGHTS)
        again = to_rewrite(rewards, most=rewrites).flatten()
        after = torch.full((len(asked),), torch.nan)
        failed = asked_for(accepted, asked[again], made[again], items[again] == 0, generator)
        experience = prompts(asked[again], failed)
        rewritten = policy.write(experience, ITEMS, generator)
        after[again] = met(accepted, asked[again], rewritten) @ (WEIGHTS / WEIGHTS.sum())
        source = replacements(rewards, after.view(QUESTIONS, own), min(1, rewrites), generator)
        foreign = (source >= 0).flatten()
        index = (source.clamp(min=0) + own * torch.arange(QUESTIONS)[:, None]).flatten()[foreign]
        number = again.cumsum(0)[index] - 1  # of those that were rewritten
        paid = with_potential(rewards, after.view(QUESTIONS, own), alpha).flatten()
        paid[foreign], made[foreign] = after[index], rewritten[number]
        with torch.no_grad():
            old[foreign] = policy.log_probs(experience[number], rewritten[number])
        written += float(own + again.sum() / QUESTIONS) / UPDATES
        gain = group_advantages(paid.view(QUESTIONS, own)).flatten()
        logs = policy.log_probs(bare, made)
        if weighing == "as its own":
            old[foreign], foreign = logs.detach()[foreign], torch.zeros_like(foreign)
        losses = mixed_policy_losses(logs, old, gain, foreign, by_ratio=True)
        if weighing == "the ratio":
            losses = torch.where(foreign[:, None], -(logs - old).exp() * gain[:, None], losses)
        step(optimiser, losses.mean(), policy)
    items, _ = examined(policy, accepted, generator)
    right = items.prod(-1)
    return {
        "items met": float(items.mean()),
        "pass@1": float(right.mean()),
        "hopeless questions solved": float((right.sum(1) > 0)[hopeless].float().mean()),
        "answers a question": written,
    }


def _rewrites_teach(found: Found) -> bool:
    """HeRL above GRPO by items and by hopeless questions, and above the same without f and without bonus by items."""
    return all(found.above("HeRL", "GRPO", name) for name in ("items met", "hopeless questions solved")) and all(
        found.above("HeRL", other, "items met") for other in ("by the ratio alone", "as its own", "without bonus")
    )


HERL = Check(
    row=140,
    name="hindsight-experience-guided-rl",
    claim="With no more answers than GRPO, rewrites of the best answers by what these do not meet bring more items "
    "met, and solve more of the questions that were never solved before; they bring less where their tokens count by "
    "the ratio alone or as if the policy had written them unhelped, and where no bonus is paid.",
    arms={
        "GRPO": lambda seed: learnt(seed, rewrites=0),
        "HeRL": lambda seed: learnt(seed),
        "by the ratio alone": lambda seed: learnt(seed, weighing="the ratio"),
        "as its own": lambda seed: learnt(seed, weighing="as its own"),
        "without bonus": lambda seed: learnt(seed, alpha=0.0),
    },
    holds=_rewrites_teach,
    units={
        "items met": "share of items",
        "pass@1": "share of answers",
        "hopeless questions solved": "share of questions",
        "answers a question": "answers an update",
    },
)
