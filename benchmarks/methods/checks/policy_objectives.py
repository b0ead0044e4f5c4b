"""Checks of losses beside the policy gradient: keeping what was known, and bands of entropy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, imitate
from benchmarks.methods.worlds.tabular import grid
from learners.objectives.entropy_band import EntropyBand, EntropyHistory
from learners.objectives.mass_covering import Generator, mass_covering, mastered


def group_advantages(rewards: Tensor) -> Tensor:
    """(r − mean) / std of each group `[groups, members]`; 0 where all are equal."""
    apart = rewards - rewards.mean(1, keepdim=True)
    return apart / (rewards.std(1, keepdim=True) + 1e-6)


# --- 175: several right answers ----------------------------------------------------------------------------------

TASKS, WORDS, PLACES, SOLUTIONS, KNOWN = 12, 6, 2, 4, 6
"""Questions, words, words of an answer, right answers of each question, and questions that are known well."""


def keeping(seed: int, kind: Generator | None, eta: float, updates: int = 150) -> Mapping[str, float]:
    """What a policy that knew half of the questions well can do after learning the others by reward.

    Args:
        seed: of everything.
        kind: the divergence to the first policy on questions that it always solved; None: they are rewarded too, with
            nothing to keep.
        eta: its weight.
        updates: gradient steps.
    """
    random = np.random.default_rng(seed)
    right = np.zeros((TASKS, WORDS**PLACES), np.bool_)
    for number in range(TASKS):
        right[number, random.permutation(WORDS**PLACES)[:SOLUTIONS]] = True
    exam = np.array([random.choice(np.flatnonzero(row)) for row in right])  # one of them is what an examiner wants

    def written(codes: NDArray[np.int64]) -> NDArray[np.int64]:
        return 1 + TASKS + np.stack([codes // WORDS, codes % WORDS], -1)

    policy = TinyPolicy(1 + TASKS + WORDS, seed)
    task = random.integers(0, TASKS, 1024)
    sure = random.random(1024) < np.where(task < KNOWN, 1.0, 0.4)
    known = np.array([random.choice(np.flatnonzero(right[t])) for t in task])
    imitate(policy, 1 + task[:, None], written(np.where(sure, known, random.integers(0, WORDS**PLACES, 1024))), 150)

    generator = torch.Generator().manual_seed(seed)

    def sample(asked: Tensor, members: int) -> tuple[Tensor, Tensor, Tensor]:
        tasks = asked.repeat_interleave(members)
        tokens = policy.write(1 + tasks[:, None], PLACES, generator)
        codes = ((tokens - 1 - TASKS) @ torch.tensor([WORDS, 1])).clamp(0, WORDS**PLACES - 1)
        valid = (tokens > TASKS).all(-1)
        return tasks, tokens, valid & torch.as_tensor(right)[tasks, codes]

    every = torch.arange(TASKS)
    tasks, stored, solved = sample(every, 32)
    solid = mastered(solved.view(TASKS, 32)[:, :8])
    with torch.no_grad():
        first = policy.log_probs(1 + tasks[:, None], stored)
    kept = solid[tasks] & solved
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    learnt = every if kind is None else every[~solid]
    for _ in range(updates):
        asked, tokens, wins = sample(learnt, 16)
        advantage = group_advantages(wins.float().view(-1, 16)).flatten()
        loss = -(policy.log_probs(1 + asked[:, None], tokens).sum(-1) * advantage).mean()
        if kind is not None and bool(kept.any()):
            own = policy.log_probs(1 + tasks[kept][:, None], stored[kept])
            loss = loss + mass_covering(own, first[kept], torch.ones_like(own, dtype=torch.bool), kind, eta)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    asked, tokens, wins = sample(every, 64)
    codes = ((tokens - 1 - TASKS) @ torch.tensor([WORDS, 1])).numpy()
    liked = (codes == exam[asked.numpy()]).reshape(TASKS, 64)
    at_8 = 1 - (1 - liked.mean(1)) ** 8
    return {
        "pass@1": float(wins.float().mean()),
        "pass@8 of an examiner, known questions": float(at_8[:KNOWN].mean()),
        "pass@8 of an examiner": float(at_8.mean()),
    }


def _covering_keeps_modes(found: Found) -> bool:
    """Forward KL and Jensen-Shannon are above nothing and above the reverse KL, on known questions."""
    name = "pass@8 of an examiner, known questions"
    return all(found.above(a, b, name) for a in ("forward KL", "Jensen-Shannon") for b in ("none", "reverse KL"))


DPH_RL = Check(
    row=175,
    name="mass-covering-divergence-rl",
    claim="Held to its first answers by forward KL or Jensen-Shannon, a policy still gives each of several right "
    "answers to what it knew (pass@8 for one of them), more than with the reverse KL or nothing.",
    arms={
        "none": lambda seed: keeping(seed, None, 0.0),
        "reverse KL": lambda seed: keeping(seed, "reverse", 0.2),
        "forward KL": lambda seed: keeping(seed, "forward", 0.2),
        "Jensen-Shannon": lambda seed: keeping(seed, "js", 0.2),
    },
    holds=_covering_keeps_modes,
    units={"pass@1": "share of answers"},
)


# --- 186: many turns before a reward -----------------------------------------------------------------------------

TURNS, SIZE = 30, 5


def walking(seed: int, band: EntropyBand | None, updates: int = 120, episodes: int = 64) -> Mapping[str, float]:
    """Success of a policy that walks through a grid and is paid at the far corner only.

    Args:
        seed: of everything.
        band: of entropy; None: policy gradient alone.
        updates: gradient steps.
        episodes: of each.
    """
    generator = torch.Generator().manual_seed(seed)
    moves = torch.as_tensor(grid(SIZE).transition.argmax(-1))
    last = SIZE * SIZE - 1
    theta = torch.zeros(SIZE * SIZE, 4, requires_grad=True)
    optimiser = torch.optim.Adam([theta], 0.05)
    history, success, entropies = EntropyHistory(), [], []
    for update in range(updates):
        state = torch.zeros(episodes, dtype=torch.long)
        states, actions = [], []
        with torch.no_grad():
            chance = theta.softmax(-1)
        for _ in range(TURNS):
            action = torch.multinomial(chance[state], 1, generator=generator)[:, 0]
            states.append(state)
            actions.append(action)
            state = torch.where(state == last, state, moves[state, action])
        seen, done = torch.stack(states, 1), torch.stack(actions, 1)
        mask = seen != last
        reward = (state == last).float() * 0.99 ** mask.sum(-1)
        advantage = group_advantages(reward[None])[0]
        log_p = theta.log_softmax(-1)
        chosen = log_p[seen].gather(-1, done[..., None])[..., 0]
        entropy = -(log_p.exp() * log_p).sum(-1)[seen]
        loss = -(chosen * mask * advantage[:, None]).sum() / mask.sum()
        if band is not None:
            loss = loss + band.loss(entropy, mask, history.tensor(TURNS), update / updates)
        history = history.seen(entropy, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        success.append(float((state == last).float().mean()))
        entropies.append(float(entropy.detach()[mask].mean()))
    return {
        "success at the end": float(np.mean(success[-20:])),
        "success on the way": float(np.mean(success)),
        "variance of entropy": float(np.var(entropies[updates // 2 :])),
    }


def _best_and_steadiest(found: Found) -> bool:
    """The hinge succeeds most on the way, and its entropy moves least in the second half."""
    others = ("policy gradient", "entropy bonus")
    return all(
        found.above("EPO, hinge", other, "success on the way")
        and found.below("EPO, hinge", other, "variance of entropy")
        for other in others
    )


EPO = Check(
    row=186,
    name="entropy-smoothed-policy-optimization",
    claim="Paid only after many turns, a policy succeeds more often on the way with entropy held in a band (hinge) "
    "than with an entropy bonus or none, and its entropy varies less in the second half.",
    arms={
        "policy gradient": lambda seed: walking(seed, None),
        "entropy bonus": lambda seed: walking(seed, EntropyBand(coefficient=0.02, alpha=0.0)),
        "EPO, constant": lambda seed: walking(seed, EntropyBand(coefficient=0.02)),
        "EPO, hinge": lambda seed: walking(seed, EntropyBand(coefficient=0.02, alpha=5.0, penalty="hinge")),
    },
    holds=_best_and_steadiest,
    units={"success at the end": "share of episodes", "success on the way": "share of episodes"},
)
