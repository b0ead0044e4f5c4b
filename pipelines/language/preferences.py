"""Learning from pairs of answers, one of them preferred: a reward model for PPO, or the policy itself (DPO).

The pairs are the task's own (`task.pairs(split, seed)`): made up with a gold reward behind them, or from a file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from envs.language.task import Message, TextTask
from learners.language.preference_learner import Config as PreferenceConfig
from learners.language.reward_model_learner import Config as RewardModelConfig
from learners.language.reward_model_learner import RewardModelLearner
from learners.language.token_batch import TokenBatch, build_token_batch
from pipelines.errors import UserError


class Config(BaseModel):
    """What is learnt from pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    into: Literal["policy", "reward_model"] = Field(
        default="policy", description="what learns: the policy by DPO, or a reward model that PPO then follows"
    )
    batch: int = Field(default=32, ge=1, description="pairs in a step")
    steps: int = Field(default=200, ge=1, description="steps of the reward model, before the run")
    policy: PreferenceConfig = Field(default_factory=lambda: PreferenceConfig(learning_rate=3e-4))
    reward_model: RewardModelConfig = Field(default_factory=lambda: RewardModelConfig(learning_rate=1e-3))

    @model_validator(mode="after")
    def _learns_from_pairs(self) -> Config:
        if self.into == "policy" and self.policy.loss == "kto":
            raise ValueError(
                "got policy.loss='kto', which learns from single answers that were liked or not, and these are pairs; "
                "expected a loss of pairs, such as dpo"
            )
        if self.into == "reward_model" and self.reward_model.loss == "regression":
            raise ValueError(
                "got reward_model.loss='regression', which learns from scores, and these are pairs; expected "
                "bradley_terry"
            )
        return self


def pairs_of(task: TextTask, split: str, seed: int) -> Sequence[Any]:
    """The task's comparisons.

    Raises:
        UserError: it has none.
    """
    found = task.pairs(split, seed) if hasattr(task, "pairs") else ()
    if not len(found):
        raise UserError(
            f"task {task.name} has no pairs of answers to learn from ({split}); take task=praise, or "
            f"task=preferences with "
            "task_options.path=FILE"
        )
    return found


def batches(pairs: Sequence[Any], tokenizer: Any, size: int, seed: int, first: int = 0) -> Iterator[TokenBatch]:
    """Batches of pairs, chosen, rejected, chosen, rejected, …; each is a function of the seed and its number."""
    number = first
    while True:
        chance = random.Random(f"{seed}/{number}")
        yield pair_batch([pairs[chance.randrange(len(pairs))] for _ in range(size)], tokenizer)
        number += 1


def pair_batch(pairs: Sequence[Any], tokenizer: Any) -> TokenBatch:
    """Pairs as the learners take them; the loss mask marks the replies."""
    sequences = [sequence(tokenizer, p.prompt.messages, reply) for p in pairs for reply in (p.chosen, p.rejected)]
    return build_token_batch([ids for ids, _ in sequences], [mask for _, mask in sequences])


def sequence(tokenizer: Any, messages: Sequence[Message], reply: str) -> tuple[list[int], list[bool]]:
    """A prompt with a reply, as the template writes them: token ids, and which of them are the reply's."""
    asked = [dict(message) for message in messages]
    before = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    whole = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": reply}], tokenize=False)
    # What stands behind the generation prompt is the reply, whatever a template puts around it.
    said = whole[len(before) :] if whole.startswith(before) else reply + (tokenizer.eos_token or "")
    first, second = tokenizer([before, said], add_special_tokens=False, verbose=False)["input_ids"]
    return [*first, *second], [False] * len(first) + [True] * len(second)


def train_reward_model(
    config: Config, task: TextTask, model: Any, tokenizer: Any, directory: Path, seed: int, tell: Any
) -> float:
    """Train a sequence classifier on the task's pairs, and save it in Hugging Face format.

    Returns:
        How often it agrees with pairs that it has not seen.
    """
    learner = RewardModelLearner(model, config.reward_model)
    lessons = batches(pairs_of(task, "train", seed), tokenizer, config.batch, seed)
    for step in range(1, config.steps + 1):
        metrics = learner.update(next(lessons))
        if step % 50 == 0:
            tell(step / config.steps, f"reward model, step {step}: agrees with {metrics['accuracy']:.1%} of a batch")
    unseen = pairs_of(task, "test", seed)
    batch = pair_batch([unseen[i] for i in range(min(len(unseen), 500))], tokenizer)
    rewards = learner.rewards(batch)
    learner.save(directory)
    tokenizer.save_pretrained(directory)
    return float((rewards[::2] > rewards[1::2]).to(torch.float32).mean())
