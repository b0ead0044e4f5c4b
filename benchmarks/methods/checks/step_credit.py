"""Checks of rewards for single steps of a task that pays at its end: four errands in eight steps, from nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.language import TinyPolicy, Writing, mask_of
from learners.objectives.contributions import return_decomposition
from learners.objectives.implicit_process import outcome_cross_entropy, outcome_pairs, trajectory_preference
from rewards.columns import Column

Parts = list[dict[str, Any]]
LONG = 4
"""Errands of a walk."""
CREDIT: Parts = [
    {"part": "returns", "of": "paid", "gamma": 0.5, "to": "reward"},
    {"part": "position_relative", "of": "reward"},
]
Components = Callable[[Writing], Mapping[str, Column]]


def outcome(writing: Writing) -> Column:
    """Whether all was done, of episodes."""
    return Column.full(errands.through(writing))


def learnt(
    seed: int,
    parts: Parts,
    levels: Mapping[str, str],
    components: Components,
    policy: TinyPolicy | None = None,
) -> dict[str, float]:
    """Success at the end and on the way, from a policy that knows nothing and succeeds in one walk in a hundred."""
    policy = TinyPolicy(errands.VOCABULARY, seed) if policy is None else policy
    found = errands.trained(parts, levels, components, seed, policy, updates=120, errands=LONG, reached=errands.through)
    return {name: found[name] for name in ("success", "success on the way")}


def flat(writing: Writing, values: Tensor) -> Column:
    """Values `[B, T]` as a column of tokens."""
    return Column.full(writing.tokens(values.detach().numpy()))


# CALM: sub-goals by a labeller, right or noisy.


def labels(writing: Writing, noise: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which sub-goals each token has achieved, according to a labeller that errs with chance `noise` `[B, T, K]`."""
    count = errands.done(writing) * errands.new(writing)
    truth = count[..., None] == 1 + np.arange(LONG)
    found: NDArray[np.bool_] = truth ^ (random.random(truth.shape) < noise)
    return found


def subgoals(seed: int, noise: float, weight: float = 1.0, pay: str = "once") -> Measured:
    """Training with a bonus for sub-goals, and how good the labels were."""
    random = np.random.default_rng(seed)
    names = [f"subgoal_{k}" for k in range(LONG)]
    counts = np.zeros(3)

    def components(writing: Writing) -> Mapping[str, Column]:
        said, true = labels(writing, noise, random), labels(writing, 0.0, random)
        mask = writing.mask[..., None]
        counts[:] += [(said & true & mask).sum(), (said & mask).sum(), (true & mask).sum()]
        columns = {name: Column.full(writing.tokens(said[..., k].astype(float))) for k, name in enumerate(names)}
        return {"outcome": outcome(writing), **columns}

    parts: Parts = [
        {"part": "milestones", "achieved": names, "preset": "calm", "to": "bonus"},
        {"part": "redistribute", "preset": "last", "of": "outcome", "over": "token", "to": "end"},
        {"part": "weighted_sum", "coefficients": {"end": 1.0, "bonus": weight}, "to": "paid"},
        *CREDIT,
    ]
    levels = {"outcome": "episode", **dict.fromkeys(names, "token")}
    found = learnt(seed, parts, levels, components)
    return {**found, "F1 of labels": float(2 * counts[0] / max(counts[1] + counts[2], 1))}


CALM = Check(
    row=153,
    name="llm-subgoal-credit",
    claim="A bonus for sub-goals, each paid once, gives more success on the way than the outcome alone, and the gain "
    "shrinks as the labels get noisier.",
    arms={
        "outcome only": lambda seed: subgoals(seed, 0.0, weight=0.0),
        "right labels": lambda seed: subgoals(seed, 0.0),
        "1 in 10 wrong": lambda seed: subgoals(seed, 0.1),
        "3 in 10 wrong": lambda seed: subgoals(seed, 0.3),
    },
    holds=lambda found: (
        found.above("right labels", "outcome only", "success on the way")
        and found.above("right labels", "1 in 10 wrong", "success on the way")
        and found.above("1 in 10 wrong", "3 in 10 wrong", "success on the way")
    ),
    units={"success": "share of walks", "success on the way": "share of walks", "F1 of labels": "F1"},
)


# SPA: contributions that sum to the return.


class Contributions(nn.Module):
    """An estimator of what each token has contributed, from the prompt and the tokens up to it."""

    def __init__(self, seed: int, hidden: int = 48) -> None:
        """Random weights."""
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(errands.VOCABULARY, hidden)
        self.cell = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)
        self.optimiser = torch.optim.Adam(self.parameters(), 3e-3)
        self.random = np.random.default_rng(seed)
        self.walks: dict[bool, list[tuple[NDArray[Any], NDArray[Any]]]] = {False: [], True: []}

    def forward(self, asked: NDArray[np.int64], walked: NDArray[np.int64]) -> Tensor:
        """Contributions `[B, T]`."""
        found, _ = self.cell(self.embed(torch.as_tensor(np.concatenate([asked, walked], axis=1))))
        contributions: Tensor = self.head(found[:, asked.shape[1] :])[..., 0]
        return contributions

    def learn(self, writing: Writing, steps: int = 8, size: int = 64) -> None:
        """A few steps on how walks have ended so far, as many that got through as others, where there are any."""
        new = errands.through(writing) > 0
        for kind in (new, ~new):
            if kind.any():
                self.walks[bool(new[kind][0])].append((writing.prompts[kind], writing.completions[kind]))
        seen = {ended: [np.concatenate(c) for c in zip(*self.walks[ended], strict=True)] for ended in (False, True)}
        for _ in range(steps):
            drawn = [
                [column[self.random.integers(0, len(column), size)] for column in columns]
                for columns in seen.values()
                if len(columns) and len(columns[0])
            ]
            asked, walked = (np.concatenate(column) for column in zip(*drawn, strict=True))
            mask = mask_of(torch.as_tensor(walked))
            ended = torch.cat([torch.zeros(size), torch.ones(size)])[: len(walked)]
            loss = return_decomposition(self(asked, walked), mask, ended).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()


def spread(seed: int, how: str) -> Measured:
    """Training on an outcome that is put on the last token, spread evenly, or by learnt contributions.

    Also how well what tokens are paid tells those that do an errand from others, in walks that get through: the
    area under the curve.
    """
    estimator = Contributions(seed)
    told: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def components(writing: Writing) -> Mapping[str, Column]:
        if how == "contributions":
            estimator.learn(writing)
        with torch.no_grad():
            contributions = estimator(writing.prompts, writing.completions)
        own = contributions.numpy() if how == "contributions" else np.ones(contributions.shape)
        if how == "last":
            own = np.pad(writing.mask[:, 1:], ((0, 0), (0, 1))) != writing.mask
        counted = writing.mask & (errands.through(writing) > 0)[:, None]
        told.append((own[counted], errands.new(writing)[counted]))
        return {"outcome": outcome(writing), "contribution": flat(writing, contributions)}

    spreading: Parts = [{"part": "scale", "of": "contribution", "factor": 1.0, "to": "paid"}]
    if how != "contributions":
        spreading = [{"part": "redistribute", "of": "outcome", "over": "token", "by": how, "to": "paid"}]
    parts: Parts = [*spreading, *CREDIT]
    levels = {"contribution": "token"} if how == "contributions" else {"outcome": "episode"}
    found = learnt(seed, parts, levels, components)
    paid, does = (np.concatenate(column) for column in zip(*told[len(told) // 2 :], strict=True))
    return {**found, "AUC of errands": auc(paid, does)}


def auc(scores: NDArray[Any], positive: NDArray[Any]) -> float:
    """Chance that a positive is scored above a negative; ties count half."""
    kinds, where = np.unique(scores, return_inverse=True)
    ups = np.bincount(where[positive], minlength=len(kinds))
    downs = np.bincount(where[~positive], minlength=len(kinds))
    below = np.cumsum(downs) - downs
    return float((ups * (below + downs / 2)).sum() / max(ups.sum() * downs.sum(), 1))


SPA = Check(
    row=57,
    name="stepwise-progress-attribution",
    claim="Learnt contributions as rewards of steps give more success on the way than the outcome at the end and than "
    "the outcome spread evenly, and are larger at errands than elsewhere with AUC above 0.7.",
    arms={
        "at the end": lambda seed: spread(seed, "last"),
        "spread evenly": lambda seed: spread(seed, "uniform"),
        "contributions": lambda seed: spread(seed, "contributions"),
    },
    holds=lambda found: (
        found.above("contributions", "at the end", "success on the way")
        and found.above("contributions", "spread evenly", "success on the way")
        and found.interval("contributions", "AUC of errands")[0] > 0.7
    ),
    units={"success": "share of walks", "success on the way": "share of walks", "AUC of errands": "AUC"},
)


# iStar: an implicit process reward model, learnt from pairs of outcomes.


class ImplicitReward:
    """A policy that learns which walks end well; its log-ratio to the policy that wrote is the step reward."""

    def __init__(self, policy: TinyPolicy, seed: int, kind: str, beta: float = 0.05) -> None:
        """Start from a copy of the policy."""
        self.model = TinyPolicy(errands.VOCABULARY, seed)
        self.model.load_state_dict(policy.state_dict())
        self.kind, self.beta = kind, beta
        self.optimiser = torch.optim.Adam(self.model.parameters(), 3e-3)

    def learn(self, writing: Writing, steps: int = 4) -> None:
        """A few steps, by DPO on pairs of walks of one prompt, or by cross-entropy on walks alone."""
        mask, group = torch.as_tensor(writing.mask), torch.as_tensor(writing.group)
        ended = torch.as_tensor(errands.through(writing))
        better, worse = outcome_pairs(ended, group)
        for _ in range(steps):
            total = (self.ratios(writing) * mask).sum(-1)
            if self.kind == "pairs":
                losses = trajectory_preference(total, mask.sum(-1), better, worse, self.beta)
            else:
                losses = outcome_cross_entropy(self.beta * total, ended)
            if len(losses):
                self.optimiser.zero_grad()
                losses.mean().backward()
                self.optimiser.step()

    def ratios(self, writing: Writing) -> Tensor:
        """The log-ratios log π_φ − log π_old `[B, T]`."""
        asked, written = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        return self.model.log_probs(asked, written) - torch.as_tensor(writing.log_probs)


def implicit(seed: int, kind: str, alpha: float) -> Measured:
    """Training with A^E + α A^S, A^S from the implicit reward of each token."""
    policy = TinyPolicy(errands.VOCABULARY, seed)
    model = ImplicitReward(policy, seed, kind)

    def components(writing: Writing) -> Mapping[str, Column]:
        if alpha:
            model.learn(writing)
        with torch.no_grad():
            ratios = model.ratios(writing)
        return {"outcome": outcome(writing), "log_ratio": flat(writing, ratios)}

    parts: Parts = [
        {"part": "scale", "of": "log_ratio", "factor": model.beta, "to": "step"},
        {"part": "group_relative", "preset": "rloo", "of": "step", "to": "step_advantage"},
        {"part": "scale", "of": "outcome", "factor": 1.0, "to": "reward"},
        {"part": "group_relative", "preset": "rloo", "of": "reward", "to": "episode_advantage"},
        {
            "part": "weighted_sum",
            "coefficients": {"episode_advantage": 1.0, "step_advantage": alpha},
            "to": "advantage",
        },
    ]
    levels = {"outcome": "episode", "log_ratio": "token"}
    return learnt(seed, parts, levels, components, policy)


def _istar_is_faster(found: Found) -> bool:
    """More success on the way than without step rewards, and than with those of cross-entropy."""
    measure = "success on the way"
    return found.above("iStar", "RLOO", measure) and found.above("iStar", "cross-entropy", measure)


ISTAR = Check(
    row=48,
    name="implicit-step-reward-credit",
    claim="Step advantages from an implicit reward that is learnt from pairs of trajectories give more success on the "
    "way than RLOO without them, and than the same reward learnt by cross-entropy on single ones.",
    arms={
        "RLOO": lambda seed: implicit(seed, "pairs", 0.0),
        "iStar": lambda seed: implicit(seed, "pairs", 1.0),
        "cross-entropy": lambda seed: implicit(seed, "single", 1.0),
    },
    holds=_istar_is_faster,
    units={"success": "share of walks", "success on the way": "share of walks"},
)
