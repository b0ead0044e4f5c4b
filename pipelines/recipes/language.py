"""Recipes that train language models: each with one command, on a CPU, with a model that Guerdon makes itself.

`model=…` takes any causal language model of Hugging Face's instead, `engines.backend=vllm` writes with vLLM, and
`runner=distributed` gives each role a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from learners.language.kl import Kl
from learners.language.learner import Config as LearnerConfig
from learners.language.preference_learner import Config as PreferenceConfig
from learners.language.reward_model_learner import Config as RewardModelConfig
from learners.language.token_returns import Returns
from pipelines.language.experiment import LanguageExperiment, RewardsConfig, SamplingConfig
from pipelines.language.preferences import Config as PreferencesConfig
from pipelines.language.tiny_model import Config as TinyConfig
from pipelines.rubric_judges import RubricJudge, TransformersModel

RUBRIC = Path(__file__).parents[2] / "rewards" / "judges" / "rubrics" / "on-topic.yaml"
BUILTIN = "builtin"  # the small judge that Guerdon makes; for judgements worth having, name a model or a server


def rlvr() -> LanguageExperiment:
    """Random arithmetic with a reward that is right by construction: GRPO, some minutes on one core.

    The model learnt sums from demonstrations of which six in ten have a wrong digit, so imitation ends at four in ten.
    """
    return LanguageExperiment(
        name="rlvr",
        task="arithmetic",
        task_options={"digits": 2, "fewest_digits": 2, "test_share": 0.3},
        updates=500,
        learner=LearnerConfig(learning_rate=5e-4),
        sampling=SamplingConfig(max_tokens=4),
        tiny=TinyConfig(every=20, context=32, slips=0.6),
        evaluate_every=50,
        evaluate_prompts=512,
    )


def agent() -> LanguageExperiment:
    """Questions that need a lookup table and a calculator, in several turns: GRPO over whole conversations."""
    return LanguageExperiment(
        name="agent",
        task="tools",
        task_options={"explain": False},
        updates=200,
        prompts=64,
        learner=LearnerConfig(learning_rate=4e-4),
        sampling=SamplingConfig(max_tokens=32),
        tiny=TinyConfig(every=10, context=256, start=0.25),
        evaluate_every=20,
    )


def rlhf() -> LanguageExperiment:
    """Preferences, a reward model that learns them, and PPO with a value head that follows it, gold reward beside."""
    return LanguageExperiment(
        name="rlhf",
        task="praise",
        updates=150,
        prompts=64,
        group_size=1,
        method="ppo",
        learner=LearnerConfig(
            learning_rate=1e-4,
            epochs=2,
            minibatches=2,
            kl=Kl(coefficient=0.02, estimator="k1", where="reward"),
            returns=Returns(lambda_=0.95),
        ),
        sampling=SamplingConfig(max_tokens=32),
        tiny=TinyConfig(hidden=64, context=128, start=0.02, every=5),
        preferences=PreferencesConfig(
            into="reward_model", steps=150, reward_model=RewardModelConfig(learning_rate=1e-3)
        ),
        evaluate_every=20,
    )


def dpo() -> LanguageExperiment:
    """The same preferences, learnt by the policy itself: no reward model, and nobody acts."""
    return LanguageExperiment(
        name="dpo",
        task="praise",
        updates=200,
        learner=LearnerConfig(),
        sampling=SamplingConfig(max_tokens=32),
        tiny=TinyConfig(hidden=64, context=128, start=0.02, every=5),
        preferences=PreferencesConfig(into="policy", policy=PreferenceConfig(loss="dpo", learning_rate=3e-4)),
        evaluate_every=20,
    )


def rubric_grpo() -> LanguageExperiment:
    """GRPO by a rubric: a judge grades every answer by a rubric file; the task's own reward is recorded beside it."""
    return LanguageExperiment(
        name="rubric-grpo",
        task="praise",
        updates=100,
        prompts=32,
        learner=LearnerConfig(learning_rate=5e-4),
        sampling=SamplingConfig(max_tokens=32),
        rewards=RewardsConfig(
            weights={"gold": 0.0},
            judge=RubricJudge(path=str(RUBRIC), model=TransformersModel(model=BUILTIN, device="cpu")),
        ),
        tiny=TinyConfig(hidden=64, context=128, start=0.02, every=5),
        evaluate_every=10,
    )


LANGUAGE_RECIPES: dict[str, Callable[[], LanguageExperiment]] = {
    "rlvr": rlvr,
    "agent": agent,
    "rlhf": rlhf,
    "rubric-grpo": rubric_grpo,
    "dpo": dpo,
}
