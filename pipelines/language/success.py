"""How often a policy succeeds: seeded answers to prompts of a split, scored by the task's own rewards."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from actors.engines.chat_tokenizer import ChatTokenizer
from actors.language.generation import GenerationEngine
from actors.language.rollout import Config as RolloutConfig
from actors.language.rollout import rollout
from envs.language.task import TextTask
from envs.language.trajectory import to_batch
from pipelines.errors import UserError
from pipelines.language.annotation import annotate, columns_of
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.rewards import RewardSet
from rewards.shares import wilson

LOCKSTEP = RolloutConfig(lockstep=True)  # the same answers again, however fast the world is
DRAWS = 20  # prompts that are drawn at most for one that may be asked
SOLVED = 0.999  # of what gold replies earn


class Success(NamedTuple):
    """Of N answers.

    Attributes:
        share: of those with a score that have the highest, as gold replies have.
        low: lower end of the 95 % interval (Wilson).
        high: upper end.
        known: answers with a reward.
        nulls: answers without one.
        reward: mean of what is known.
        tokens: mean length of what the policy wrote.
        shown: prompt, answer and reward of a few.
    """

    share: float
    low: float
    high: float
    known: int
    nulls: int
    reward: float
    tokens: float
    shown: tuple[dict[str, Any], ...]


def success_of(
    experiment: LanguageExperiment,
    task: TextTask,
    engine: GenerationEngine,
    chats: ChatTokenizer,
    split: str,
    count: int,
    greedy: bool = False,
    seed: int = 0,
    but: Collection[str] = (),
) -> Success:
    """Answer `count` prompts once each (pass@1) and score them.

    Args:
        experiment: says how is sampled and rewarded.
        task: what is asked.
        engine: the policy.
        chats: its tokenizer.
        split: of the task.
        count: prompts; all of the split where it has fewer.
        greedy: take the most likely tokens.
        seed: of the prompts' order and of chance.
        but: ids of prompts that are left out.

    Raises:
        UserError: no answer could be scored.
    """
    prompts = task.load(split, experiment.seed + seed)  # type: ignore[arg-type]
    drawn = (prompts[index] for index in range(min(len(prompts), DRAWS * count)))
    asked = list(islice((prompt for prompt in drawn if prompt.id not in but), count))
    count = len(asked)
    sampling = experiment.sampling.model_copy(update={"temperature": 0.0} if greedy else {}).build()
    # What counts is the task's own score, whatever the policy is trained on.
    rewards = RewardSet(experiment.model_copy(update={"rewards": RewardsConfig()}), task)
    rows = to_batch(rollout(engine, chats, task, asked, 1, sampling, seed, config=LOCKSTEP))
    loop = asyncio.new_event_loop()
    try:
        verdicts = loop.run_until_complete(annotate(rewards.parts, rewards.answer, rows, experiment.rewards))
    finally:
        loop.close()
    values = {part.name: {v.subject: v.value for v in own} for part, own in zip(rewards.parts, verdicts, strict=True)}
    table = pa.Table.from_batches([rows])
    seen = rewards.seen(table, rewards.columns(table, values))
    valid = seen.weight > 0
    known = seen.reward[valid]
    if not len(known):
        cause = next((v.cause for own in verdicts for v in own if v.cause), "no reward was given")
        raise UserError(f"none of {count} answers could be scored: {cause}")
    solved = int((known >= SOLVED * rewards.best).sum())
    low, high = wilson(solved, len(known))
    columns = columns_of(rows)
    shown = [
        {"prompt": p, "answer": c, "reward": float(v) if ok else None}
        for p, c, v, ok in zip(columns["prompt"][:8], columns["completion"][:8], seen.reward, valid, strict=False)
    ]
    tokens = float(np.mean([sum(mask) for mask in rows.column("loss_mask").to_pylist()]))
    return Success(
        solved / len(known), low, high, len(known), count - len(known), float(known.mean()), tokens, tuple(shown)
    )


def shown_lines(success: Success) -> Sequence[str]:
    """A few answers, for people."""
    return [f"{one['prompt']!r} → {one['answer']!r}: {one['reward']}" for one in success.shown]
