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
from pipelines.judging.rubric_judges import RubricJudge, TransformersModel
from pipelines.language.experiment import LanguageExperiment, SamplingConfig
from pipelines.language.preferences import Config as PreferencesConfig
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.tiny_model import Config as TinyConfig

RUBRIC = Path(__file__).parents[2] / "rewards" / "judges" / "rubrics" / "on-topic.yaml"
# Taught by replies of any quality, as the comparisons are about: who imitates them writes all words that judges know.
PRAISING = TinyConfig(hidden=64, context=128, slips=0.9, start=0.06, every=10)
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
        updates=80,
        prompts=64,
        learner=LearnerConfig(learning_rate=4e-4),
        sampling=SamplingConfig(max_tokens=32),
        tiny=TinyConfig(every=10, context=256, start=0.25),
        evaluate_every=20,
    )


def rlhf() -> LanguageExperiment:
    """Preferences, a reward model that learns them, and PPO with a value head that follows it, gold reward beside.

    The reward model has seen that kind words are good, and hardly how many are too many: the gold reward rises with
    the learned one, until the policy has found that out.
    """
    return LanguageExperiment(
        name="rlhf",
        task="praise",
        task_options={"pairs": 6000},
        updates=90,
        prompts=128,
        group_size=1,
        method="ppo",
        learner=LearnerConfig(
            learning_rate=2e-4,
            epochs=2,
            minibatches=2,
            kl=Kl(coefficient=0.005, estimator="k1", where="reward"),
            value_clip=None,  # rewards are logits: a value that may move by 0.2 an update would come too late
            returns=Returns(lambda_=0.95),
        ),
        sampling=SamplingConfig(max_tokens=32),
        tiny=PRAISING,
        preferences=PreferencesConfig(
            into="reward_model", steps=300, reward_model=RewardModelConfig(learning_rate=1e-3, centring=0.001)
        ),
        evaluate_every=20,
    )


def dpo() -> LanguageExperiment:
    """The same preferences, learnt by the policy itself: no reward model, and nobody acts."""
    return LanguageExperiment(
        name="dpo",
        task="praise",
        task_options={"pairs": 6000},
        updates=200,
        learner=LearnerConfig(),
        sampling=SamplingConfig(max_tokens=32),
        tiny=PRAISING,
        # Several times faster, and both replies of a pair become unlikely: what neither says takes their place.
        preferences=PreferencesConfig(into="policy", policy=PreferenceConfig(loss="dpo", learning_rate=5e-5)),
        evaluate_every=20,
    )


def rubric_grpo() -> LanguageExperiment:
    """GRPO by a rubric: a judge grades every answer by a rubric file; the task's own reward is recorded beside it.

    The judge learns from long replies, too: one that has hardly seen any is soon led astray by kind words without end.
    """
    return LanguageExperiment(
        name="rubric-grpo",
        task="praise",
        task_options={"longest": 24, "brevity": 0.08},
        updates=60,
        prompts=32,
        learner=LearnerConfig(learning_rate=2e-4),
        sampling=SamplingConfig(max_tokens=32),
        rewards=RewardsConfig(
            weights={"gold": 0.0},
            judge=RubricJudge(path=str(RUBRIC), model=TransformersModel(model=BUILTIN, device="cpu")),
        ),
        tiny=PRAISING,
        evaluate_every=10,
    )


LANGUAGE_RECIPES: dict[str, Callable[[], LanguageExperiment]] = {
    "rlvr": rlvr,
    "agent": agent,
    "rlhf": rlhf,
    "rubric-grpo": rubric_grpo,
    "dpo": dpo,
}
