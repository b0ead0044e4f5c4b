"""Checks of advantages within groups: several rewards, lengths, entropies and hidden states of a tiny language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.checks.lengths import long_winded
from benchmarks.methods.checks.lengths import right as covers
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import arithmetic, attributes
from benchmarks.methods.worlds.language import TinyPolicy, Writing, reinforce, write
from rewards.columns import Column
from rewards.sources.effective_rank import rank_trend
from rewards.views.layout import Level
from rewards.views.view import Config, RewardView

Parts = list[dict[str, Any]]
GRPO: dict[str, Any] = {"part": "group_relative", "preset": "grpo", "of": "reward"}


beginner, winded = cache(arithmetic.beginner), cache(long_winded)
"""The policies that all arms of a seed start from; they are copied, never trained."""


def view(components: Mapping[str, Level], parts: Parts) -> RewardView:
    """A view of those components and parts."""
    return RewardView(Config.model_validate({"name": "check", "components": components, "parts": parts}))


# --- 21: two rewards, of which one is easy and the other hard -----------------------------------------------------

BRIEF = 7
"""Tokens that an answer may have: what the policy was taught is brief only where half of the topic is left out."""


def two_rewards(writing: Writing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whether an answer covers its topic (hard), in steps from −3 to 3, and whether it is brief (easy)."""
    covered = 6 * np.round(4 * attributes.coverage(writing)) / 4 - 3
    return covered.astype(np.float32), (writing.length <= BRIEF).astype(np.float32)


def with_two(seed: int, parts: Parts, updates: int = 120) -> Mapping[str, float]:
    """Both rewards after training and on the way, and how many different advantages a batch has."""
    levels: dict[str, Level] = {"covered": "episode", "brief": "episode"}
    made = view(levels, parts)
    different: list[int] = []
    reached: list[float] = []

    def judged(writing: Writing) -> Mapping[str, Column]:
        found = dict(zip(levels, map(Column.full, two_rewards(writing)), strict=True))
        advantage = made.apply(found, writing.layout, learn=False).advantage
        assert advantage is not None
        different.append(len(np.unique(np.round(advantage.values[advantage.valid], 4))))
        reached.append(float(((found["covered"].values + 3) / 6 + found["brief"].values).mean() / 2))
        return found

    policy = reinforce(
        deepcopy(winded(seed)), attributes.prompts, judged, made, seed, updates=updates, length=attributes.LENGTH
    )
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    covered, brief = two_rewards(write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed)))
    return {
        "covered": float((covered.mean() + 3) / 6),
        "brief": float(brief.mean()),
        "mean of both on the way": float(np.mean(reached)),
        "different advantages": float(np.mean(different)),
    }


SUMMED: dict[str, Any] = {"part": "weighted_sum", "coefficients": {"covered": 1.0, "brief": 1.0}}


def _both_at_least(found: Found) -> bool:
    """Both rewards end no more than 0.03 below GRPO's, one is above, and more combinations are told apart."""
    ends = [found.difference("GDPO", "GRPO", name) for name in ("covered", "brief")]
    return (
        all((end.low or 0.0) > -0.03 for end in ends)
        and any((end.low or 0.0) > 0 for end in ends)
        and found.above("GDPO", "GRPO", "different advantages")
    )


GDPO = Check(
    row=21,
    name="gdpo-advantage",
    claim="With each reward normalised by itself, both rewards end no more than 0.03 below those of GRPO on their sum, "
    "at least one ends above, and a batch has more different advantages.",
    arms={
        "GRPO": lambda seed: with_two(seed, [SUMMED, GRPO]),
        "GDPO": lambda seed: with_two(
            seed, [SUMMED, {"part": "decoupled", "preset": "gdpo", "coefficients": {"covered": 1.0, "brief": 1.0}}]
        ),
    },
    holds=_both_at_least,
    units={"covered": "share of topic", "brief": "share of answers", "different advantages": "values"},
)


# --- 37: halves by length ------------------------------------------------------------------------------------------


def by_length(seed: int, parts: Parts) -> Mapping[str, float]:
    """Accuracy and length of a policy that was long-winded, after training."""
    levels: dict[str, Level] = {"right": "episode", "length": "episode"}
    policy = reinforce(
        deepcopy(winded(seed)),
        attributes.prompts,
        lambda w: {"right": Column.full(covers(w)), "length": Column.full(w.length)},
        view(levels, parts),
        seed,
        updates=200,
        length=attributes.LENGTH,
    )
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return {"accuracy": float(covers(found).mean()), "tokens": float(found.length.mean())}


def canon(alpha: float, mu: float = 1.0) -> Parts:
    """Advantages by halves of length."""
    return [
        {"part": "scale", "of": "right", "factor": 1.0, "to": "reward"},
        {"part": "conditional", "of": "reward", "metric": "length", "alpha": alpha, "mu": mu},
    ]


def _shorter_and_as_right(found: Found) -> bool:
    accuracy = found.difference("CANON α=0.9", "Dr. GRPO", "accuracy")
    return (accuracy.low or 0.0) > -0.05 and found.below("CANON α=0.9", "Dr. GRPO", "tokens")


CANON = Check(
    row=37,
    name="conditional-advantage",
    claim="Compared across halves of length with α = 0.9, answers become shorter than Dr. GRPO's, with an accuracy "
    "that is at most 0.05 lower.",
    arms={
        # Halves of eight are equal: with μ = 1/2 and α = 1 this is the advantage of Dr. GRPO.
        "Dr. GRPO": lambda seed: by_length(seed, canon(1.0, 0.5)),
        "CANON": lambda seed: by_length(seed, canon(1.0)),
        "CANON α=0.9": lambda seed: by_length(seed, canon(0.9)),
    },
    holds=_shorter_and_as_right,
    units={"accuracy": "share of answers", "tokens": "tokens"},
)


# --- 43 and 134: sums, with entropies of tokens and hidden states ----------------------------------------------------


def entropies(writing: Writing) -> NDArray[np.float32]:
    """Entropy of each token's distribution `[B, T]`."""
    with torch.no_grad():
        given = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        log_p = writing.policy.logits(*given).log_softmax(-1)
        found: NDArray[np.float32] = -(log_p.exp() * log_p).sum(-1).numpy()
    return found


def trends(writing: Writing) -> NDArray[np.float64]:
    """Effective rank of the hidden states of each completion, its velocity and acceleration `[B, 3]`."""
    prompts, completions = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
    with torch.no_grad():
        states, _ = writing.policy.cell(writing.policy.embed(torch.cat([prompts, completions], 1)))
    behind = states[:, prompts.shape[1] :].numpy()
    return np.array(
        [rank_trend(z[: max(int(m.sum()), 1)], stride=1) for z, m in zip(behind, writing.mask, strict=True)]
    )


def sums(
    seed: int,
    levels: Mapping[str, Level],
    parts: Parts,
    components: Callable[[Writing], Mapping[str, Column]],
    updates: int = 150,
) -> Mapping[str, float]:
    """Accuracy and more after training on sums."""
    policy: TinyPolicy = reinforce(
        deepcopy(beginner(seed)),
        arithmetic.prompts,
        components,
        view(levels, parts),
        seed,
        updates=updates,
        length=arithmetic.LENGTH,
    )
    asked = arithmetic.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 8, arithmetic.LENGTH, torch.Generator().manual_seed(seed))
    right = arithmetic.right(found).reshape(256, 8)
    return {
        "pass@1": float(right.mean()),
        "pass@8": float(right.max(1).mean()),
        "entropy": float(entropies(found)[found.mask].mean()),
        "effective rank": float(trends(write(policy, asked, 1, arithmetic.LENGTH, torch.Generator()))[:, 0].mean()),
    }


def _right(writing: Writing) -> dict[str, Column]:
    return {"right": Column.full(arithmetic.right(writing))}


def _right_and_rank(writing: Writing) -> Mapping[str, Column]:
    names = ("rank", "velocity", "acceleration")
    return _right(writing) | dict(zip(names, map(Column.full, trends(writing).T), strict=True))


def _right_and_entropy(writing: Writing) -> Mapping[str, Column]:
    return _right(writing) | {"entropy": Column.full(writing.tokens(entropies(writing)))}


KEEP: dict[str, Any] = {"part": "scale", "of": "right", "factor": 1.0, "to": "reward"}
PLAIN: dict[str, Level] = {"right": "episode"}
RANKED: dict[str, Level] = PLAIN | {"rank": "episode", "velocity": "episode", "acceleration": "episode"}
TOKENS: dict[str, Level] = PLAIN | {"entropy": "token"}


def _no_worse_and_no_collapse(found: Found) -> bool:
    """Within 0.05 of GRPO at one and at eight answers, with at least nine tenths of its effective rank."""
    apart = [found.difference("GRPO + VERL", "GRPO", name) for name in ("pass@1", "pass@8")]
    rank = found.mean("GRPO + VERL", "effective rank") / found.mean("GRPO", "effective rank")
    return all((d.low or 0.0) > -0.05 for d in apart) and rank >= 0.9


VERL = Check(
    row=43,
    name="effective-rank-advantage-shaping",
    claim="With advantages shaped by effective rank, pass@1 and pass@8 on sums are at most 0.05 below GRPO's, and the "
    "effective rank of hidden states does not fall below nine tenths of GRPO's.",
    arms={
        "GRPO": lambda seed: sums(seed, PLAIN, [KEEP, GRPO], _right),
        "GRPO + VERL": lambda seed: sums(
            seed,
            RANKED,
            [KEEP, GRPO, {"part": "effective_rank_bonus", "preset": "verl", "of": "advantage"}],
            _right_and_rank,
        ),
    },
    holds=_no_worse_and_no_collapse,
    units={
        "pass@1": "share of answers",
        "pass@8": "share of prompts",
        "entropy": "nats",
        "effective rank": "directions",
    },
)


def empg(**settings: Any) -> Parts:
    """Advantages of GRPO, modulated by the entropy of tokens."""
    return [KEEP, GRPO, {"part": "entropy_modulated", "of": "advantage", "to": "advantage", **settings}]


EMPG = Check(
    row=134,
    name="entropy-modulated-advantage",
    claim="With advantages modulated by the entropy of tokens, more sums are right after equally many updates than "
    "with GRPO.",
    arms={
        "GRPO": lambda seed: sums(seed, PLAIN, [KEEP, GRPO], _right),
        "EMPG": lambda seed: sums(seed, TOKENS, empg(), _right_and_entropy),
        "gain only": lambda seed: sums(seed, TOKENS, empg(bonus=0.0), _right_and_entropy),
        "clarity only": lambda seed: sums(seed, TOKENS, empg(gain=0.0), _right_and_entropy),
    },
    holds=lambda found: found.above("EMPG", "GRPO", "pass@1"),
    units={
        "pass@1": "share of answers",
        "pass@8": "share of prompts",
        "entropy": "nats",
        "effective rank": "directions",
    },
)
