"""Check of guided retries: errands whose places nobody names; clues stand for them, and who knows the plan may tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.checks.utterances import step
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.errands import IDLE, LENGTH, PLACES, counted, with_detours
from benchmarks.methods.worlds.language import END, TinyPolicy, imitate, mask_of
from learners.language.preferences import dpo
from learners.language.reward_losses import entailment
from pipelines.results import figure
from rewards.data.guided_retry import outcome_pairs, pooled, to_retry
from rewards.evaluation.accuracy import best_of_n

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Guiding = Literal["never", "taken out", "left in"]
CLUES = 4
"""Errands of a task; each has a clue, and each of the PLACES clues of an errand means another place."""
CLUE = 1 + IDLE
UNTOLD = CLUE + CLUES * PLACES
VOCABULARY = 1 + UNTOLD
ROUNDS, TASKS, ATTEMPTS, PAIRS = 6, 48, 8, 4
"""Rounds, tasks of each, attempts at each task (half of them first ones, where failures are retried), pairs of each."""
STEPS, BATCH, BETA = 30, 96, 0.1
"""Steps of imitation and then of DPO in each round, attempts or pairs of each, and the price of leaving its start."""
JUDGING = 150
"""Steps of the reward model."""
DRAWN = 16
"""Attempts at each new task, of which the best of any 8 is asked for."""
HELD_OUT = 5
"""One task in so many is never trained on."""


class Made(NamedTuple):
    """Attempts at tasks.

    Attributes:
        right: 1, 0, or NaN where there was none `[P, N]`.
        guided: which had guidance `[P, N]`.
        bare: prompts without any guidance `[P, N, 2 · CLUES]`.
        prompts: those under which attempts are learnt from, of the same shape.
        walks: `[P, N, LENGTH]`.
    """

    right: Floats
    guided: NDArray[np.bool_]
    bare: Tensor
    prompts: Tensor
    walks: Tensor


class World:
    """Which place each clue means."""

    def __init__(self, seed: int) -> None:
        """At random, for each errand of a task by itself."""
        random = np.random.default_rng(seed)
        self.meant = 1 + random.permuted(np.tile(np.arange(PLACES), (CLUES, 1)), axis=1)

    def tasks(self, random: np.random.Generator, number: int, held_out: bool = False) -> Ints:
        """Clues `[n, CLUES]`, of one part of all tasks; the same clues are always in the same part."""
        drawn = random.integers(0, PLACES, (number * 2 * HELD_OUT + 100, CLUES))
        found: Ints = drawn[(drawn.sum(1) % HELD_OUT == 0) == held_out][:number]
        return found

    def plan(self, clues: Ints) -> Ints:
        """Places to be visited in order `[n, CLUES]`."""
        found: Ints = self.meant[np.arange(CLUES), clues]
        return found


def asked(clues: Ints, told: Ints | None = None) -> Ints:
    """Prompts: the clues, and the plan or nothing `[n, 2 · CLUES]`."""
    return np.concatenate(
        [CLUE + np.arange(CLUES) * PLACES + clues, np.full_like(clues, UNTOLD) if told is None else told], 1
    )


def succeeded(plan: Ints, walks: Ints) -> Floats:
    """1 where all places were visited in order and the walk was handed in `[...]`.

    Args:
        plan: places `[..., CLUES]`, one plan for several walks where it has 1 in their place.
        walks: `[..., LENGTH]`.
    """
    wanted = np.broadcast_to(plan, (*walks.shape[:-1], CLUES)).reshape(-1, CLUES)
    through = counted(wanted, walks.reshape(-1, LENGTH))[:, -1].reshape(walks.shape[:-1]) == CLUES
    found: Floats = (through & (walks == END).any(-1)).astype(np.float64)
    return found


@cache
def beginner(seed: int) -> TinyPolicy:
    """A policy that can follow a plan it is told, and walks at random where it is told none."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(VOCABULARY, seed)
    clues, told = (random.integers(low, low + PLACES, (768, CLUES)) for low in (0, 1))
    walks = with_detours(random, told)  # where nothing is told they lead anywhere
    imitate(policy, asked(clues, np.where(random.random((768, 1)) < 0.7, told, UNTOLD)), walks, 130)
    return policy


def log_probs(policy: TinyPolicy, prompts: Tensor, walks: Tensor) -> Tensor:
    """Of whole walks `[n]`."""
    return (policy.log_probs(prompts, walks) * mask_of(walks)).sum(-1)


def scores(model: TinyPolicy, prompts: Tensor, walks: Tensor) -> Tensor:
    """Logits of success by a reward model, which says them by token 1, where the next token would be `[n]`."""
    return model.logits(torch.cat([prompts, walks], 1), torch.zeros(len(walks), 1, dtype=torch.long))[:, 0, 1]


def attempted(policy: TinyPolicy, world: World, clues: Ints, guiding: Guiding, generator: torch.Generator) -> Made:
    """ATTEMPTS at each task; with guidance half of them are first ones, and those of these that failed are retried."""
    plan, alone = world.plan(clues), ATTEMPTS if guiding == "never" else ATTEMPTS // 2
    bare, told = torch.as_tensor(asked(clues)), torch.as_tensor(asked(clues, plan))
    walks = np.full((len(clues), ATTEMPTS, LENGTH), END)
    walks[:, :alone] = policy.write(bare.repeat_interleave(alone, 0), LENGTH, generator).view(-1, alone, LENGTH)
    first = succeeded(plan[:, None], walks[:, :alone])
    retried = np.full((len(clues), ATTEMPTS - alone), np.nan)
    if guiding != "never":
        again = to_retry(first)
        helped = policy.write(told[np.nonzero(again)[0]], LENGTH, generator)
        walks[:, alone:][again] = helped
        retried[again] = succeeded(plan[:, None], walks[:, alone:])[again]
    pool = pooled(first, retried)
    kept = torch.as_tensor(pool.guided & (guiding == "left in"))[..., None]
    alike = bare[:, None].expand(-1, ATTEMPTS, -1)
    return Made(pool.right, pool.guided, alike, torch.where(kept, told[:, None], alike), torch.as_tensor(walks))


def together(rounds: Sequence[Made]) -> Made:
    """All attempts of several rounds."""
    right, guided, bare, prompts, walks = zip(*rounds, strict=True)
    return Made(np.concatenate(right), np.concatenate(guided), torch.cat(bare), torch.cat(prompts), torch.cat(walks))


def practised(policy: TinyPolicy, optimiser: torch.optim.Optimizer, made: Made, random: np.random.Generator) -> None:
    """Imitation of what succeeded, then DPO of that against what failed."""
    rows, columns = np.nonzero(made.right == 1)
    for _ in range(STEPS if len(rows) else 0):
        drawn = random.integers(0, len(rows), BATCH)
        row, column = rows[drawn], columns[drawn]
        step(optimiser, -log_probs(policy, made.prompts[row, column], made.walks[row, column]).mean(), policy)
    pairs = outcome_pairs(made.right, PAIRS, random)
    reference = deepcopy(policy)
    for _ in range(STEPS if len(pairs) else 0):
        task, *both = pairs[random.integers(0, len(pairs), BATCH)].T
        ratios = []
        for column in both:
            prompts, walks = made.prompts[task, column], made.walks[task, column]
            with torch.no_grad():
                before = log_probs(reference, prompts, walks)
            ratios.append(log_probs(policy, prompts, walks) - before)
        step(optimiser, dpo(ratios[0] - ratios[1], BETA).mean(), policy)


def reward_model(made: Made, random: np.random.Generator, seed: int) -> TinyPolicy:
    """Learns which attempts succeed, from as many that did as that did not in each batch, where there are any."""
    model = TinyPolicy(VOCABULARY, 500 + seed)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    kinds = [found for outcome in (0, 1) if len(found := np.argwhere(made.right == outcome))]
    for _ in range(JUDGING):
        row, column = np.concatenate([random.choice(found, BATCH // 2) for found in kinds]).T
        said = scores(model, made.bare[row, column], made.walks[row, column])
        step(optimiser, entailment(said, torch.as_tensor(made.right[row, column]).float()).mean(), model)
    return model


def learnt(seed: int, guiding: Guiding) -> Mapping[str, float]:
    """What an agent can do alone, and with a reward model that learnt from its attempts.

    Args:
        seed: of everything.
        guiding: whether failures are tried again with the plan, and whether that is taken out of the prompt before
            anything is learnt; never: as many attempts are made alone.
    """
    world, random, generator = World(seed), np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = deepcopy(beginner(seed))
    optimiser = torch.optim.Adam(policy.parameters(), 2e-3)
    rounds: list[Made] = []
    for _ in range(ROUNDS):
        rounds.append(attempted(policy, world, world.tasks(random, TASKS), guiding, generator))
        practised(policy, optimiser, together(rounds), random)
    model = reward_model(together(rounds), random, seed)
    clues = world.tasks(random, 100, held_out=True)
    bare = torch.as_tensor(asked(clues)).repeat_interleave(DRAWN, 0)
    walks = policy.write(bare, LENGTH, generator)
    with torch.no_grad():
        liked = scores(model, bare, walks).view(-1, DRAWN)
    right = succeeded(world.plan(clues)[:, None], walks.view(-1, DRAWN, LENGTH).numpy())
    return {
        "first attempts right": float(rounds[0].right[~rounds[0].guided].mean()),
        "tasks solved at first": float((rounds[0].right == 1).any(1).mean()),
        "pass@1": float(right.mean()),
        "best of 8": best_of_n(liked.tolist(), right.tolist(), 8) or 0.0,
        "pass@8": float(right.reshape(-1, 8).any(1).mean()),
    }


def _guidance_teaches(found: Found) -> bool:
    """More tasks with a success, a better policy without guidance, and best of 8 above its pass@1."""
    guided = found.values["guided"]
    gain = np.asarray(guided["best of 8"]) - np.asarray(guided["pass@1"])
    return (
        found.mean("alone", "first attempts right") < 0.05
        and all(found.above("guided", "alone", name) for name in ("tasks solved at first", "pass@1"))
        and (figure(gain, "difference").low or 0.0) > 0
    )


AGENT_RLVR = Check(
    row=202,
    name="guided-retry-rlvr",
    claim="Where hardly any attempt succeeds, guided retries of failures bring successes at more tasks; from as many "
    "attempts, what is learnt of them by DPO succeeds without guidance at new tasks more often than what is learnt of "
    "attempts alone, and more often still as the best of 8 by a reward model of the same attempts.",
    arms={
        "alone": lambda seed: learnt(seed, "never"),
        "guided": lambda seed: learnt(seed, "taken out"),
        "guided, guidance left in": lambda seed: learnt(seed, "left in"),
    },
    holds=_guidance_teaches,
    seeds=3,
    units={
        "first attempts right": "share of attempts",
        "tasks solved at first": "share of tasks",
        "pass@1": "share of attempts",
        "best of 8": "share of tasks",
        "pass@8": "share of eights of attempts",
    },
)
