"""Check of help from a later checkpoint of the same run, beside help from one's own past and from a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, mask_of
from learners.language.policy_loss import PolicyLoss, policy_losses
from learners.objectives.near_future import Signal, best_guide, learning_signal, replaced

GROUPS, MEMBERS, HELP = 12, 8, 3
AHEAD: Sequence[int] = (20, 40, 80, 160)
"""Updates after which a checkpoint is kept."""

Told = tuple[Tensor, Tensor, Tensor]
"""Walks `[B, T]`, log-probabilities of whoever made them `[B, T]`, and whether they are right `[B]`."""
Guide = Callable[[Tensor, torch.Generator], Told]


def walks(policy: TinyPolicy, asked: Tensor, generator: torch.Generator) -> Told:
    """What a policy does when asked `[B, P]`."""
    written = policy.write(asked, errands.LENGTH, generator)
    with torch.no_grad():
        logs = policy.log_probs(asked, written)
    group = np.zeros(len(asked), np.int64)
    seen = Writing(asked.numpy(), written.numpy(), mask_of(written).numpy(), group, logs.numpy(), policy)
    return written, logs, torch.as_tensor(errands.success(seen) > 0)


class Past:
    """The newest right walks of a run, by what was asked."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.known: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}

    def __call__(self, asked: Tensor, generator: torch.Generator) -> Told:
        """What was right before for each of `asked` `[B, P]`, from the newest; where nothing was, no right walk."""
        walk, logs = torch.zeros(len(asked), errands.LENGTH, dtype=torch.long), torch.zeros(len(asked), errands.LENGTH)
        right = torch.zeros(len(asked), dtype=torch.bool)
        for row, places in enumerate(asked.tolist()):
            stored = self.known.get(tuple(places), [])
            if row % MEMBERS < len(stored):
                walk[row], logs[row] = stored[-1 - row % MEMBERS]
                right[row] = True
        return walk, logs, right

    def keep(self, asked: Tensor, told: Told) -> None:
        """Store what was right."""
        for places, walk, logs, right in zip(asked.tolist(), *told, strict=True):
            if right:
                stored = self.known.setdefault(tuple(places), [])
                stored.append((walk, logs))
                del stored[:-MEMBERS]


def guided(
    policy: TinyPolicy, guide: Guide | None, seed: int, updates: int, curve: list[float] | None = None
) -> TinyPolicy:
    """GRPO on errands; a guide's right walks take the places of some wrong ones. The policy is trained in place."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), 2e-3)
    for _ in range(updates):
        asked = torch.as_tensor(errands.prompts(random, GROUPS)).repeat_interleave(MEMBERS, 0)
        own = walks(policy, asked, generator)
        written, anchor, won = own
        wins = won.view(GROUPS, MEMBERS)
        if curve is not None:
            curve.append(float(wins.float().mean()))
        if guide is not None:
            told, logs, taught = guide(asked, generator)
            index = replaced(wins, taught.view(GROUPS, MEMBERS), HELP)
            row = (torch.arange(GROUPS)[:, None] * MEMBERS + index.clamp(min=0)).flatten()
            swap = (index >= 0).flatten()[:, None]
            written, anchor = torch.where(swap, told[row], written), torch.where(swap, logs[row], anchor)
            wins = wins | (index >= 0)
        if isinstance(guide, Past):
            guide.keep(asked, own)
        mask, rewards = mask_of(written), wins.float()
        apart = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-6)
        owner = torch.arange(len(asked))[:, None].expand_as(mask)[mask]
        found = policy_losses(
            policy.log_probs(asked, written)[mask],
            anchor[mask],
            apart.flatten()[:, None].expand_as(anchor)[mask],
            torch.ones(int(mask.sum())),
            owner,
            PolicyLoss(),
        )
        optimiser.zero_grad()
        found.loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    return policy


def teacher(seed: int) -> TinyPolicy:
    """Another network, which was taught to run all errands without a detour."""
    policy = TinyPolicy(errands.VOCABULARY, 500 + seed)
    asked = errands.prompts(np.random.default_rng(500 + seed), 256)
    shown = np.full((len(asked), errands.LENGTH), END)
    shown[:, : errands.ERRANDS] = asked
    imitate(policy, asked, shown, 250)
    return policy


def signal(policy: TinyPolicy, guide: TinyPolicy, seed: int) -> Signal:
    """What a guide is worth to a policy, on errands of their own."""
    generator = torch.Generator().manual_seed(seed)
    asked = torch.as_tensor(errands.prompts(np.random.default_rng(9000 + seed), 64)).repeat_interleave(4, 0)
    own, (told, logs, right) = (walks(model, asked, generator) for model in (policy, guide))
    with torch.no_grad():
        ratio = ((policy.log_probs(asked, told) - logs) * mask_of(told)).sum(-1)
    return learning_signal(right.view(64, 4).any(1), own[2].view(64, 4).any(1), ratio, bound=1.5)


@cache
def run_ahead(seed: int) -> tuple[TinyPolicy, tuple[TinyPolicy, ...], tuple[Signal, ...]]:
    """A weak policy, its later checkpoints and a teacher, and what each is worth; nobody may train them further."""
    start = errands.taught(seed, 20)
    later, guides = start, []
    for before, after in zip((0, *AHEAD), AHEAD, strict=False):
        later = guided(deepcopy(later), None, 100 + seed, after - before)
        guides.append(later)
    guides.append(teacher(seed))
    return start, tuple(guides), tuple(signal(start, guide, seed) for guide in guides)


def near_future(seed: int, arm: str, updates: int = 60) -> Mapping[str, float]:
    """Success after as many updates of a policy that began weak, and what each guide was worth to it.

    The updates by which the run was taken ahead are not counted: what is asked is whether a guide is worth them.
    """
    start, guides, signals = run_ahead(seed)
    best = best_guide(signals[:-1])
    chosen: dict[str, Guide | None] = {
        "GRPO": None,
        "own past": Past(),
        "near future": partial(walks, guides[best or 0]),
        "teacher": partial(walks, guides[-1]),
    }
    curve: list[float] = []
    policy = guided(deepcopy(start), chosen[arm], seed, updates, curve)
    asked = torch.as_tensor(errands.prompts(np.random.default_rng(10_000 + seed), 512))
    return {
        "success": float(walks(policy, asked, torch.Generator().manual_seed(seed))[2].float().mean()),
        "success on the way": float(np.mean(curve)),
        "updates ahead of the guide": float(AHEAD[best or 0]),
        **{f"S, {n} ahead": s.value for n, s in zip(AHEAD, signals, strict=False)},
        "S, teacher": signals[-1].value,
    }


def _nearest_is_best(found: Found) -> bool:
    """Above all others at the end and on the way, and S is above what it is at both ends of the distances."""
    better = all(
        found.above("near future", other, name)
        for other in ("GRPO", "own past", "teacher")
        for name in ("success", "success on the way")
    )
    s = [found.mean("near future", f"S, {n} ahead") for n in AHEAD] + [found.mean("near future", "S, teacher")]
    return better and max(s) > max(s[0], s[-1])


NPO = Check(
    row=104,
    name="near-future-mixed-policy",
    claim="After equally many updates on errands, and on the way, walks of the later checkpoint of the same run with "
    "the largest S bring more success than none, than right ones of its own past, and than those of a teacher that "
    "knows all; S is largest at a distance between the nearest checkpoint and the teacher.",
    arms={arm: partial(near_future, arm=arm) for arm in ("GRPO", "own past", "near future", "teacher")},
    holds=_nearest_is_best,
    units={
        "success": "share of walks",
        "success on the way": "share of walks",
        "updates ahead of the guide": "updates",
    },
)
