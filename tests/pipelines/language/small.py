"""The smallest language experiment: small sums, a model of some thousand parameters."""

from __future__ import annotations

from learners.language.learner import Config as LearnerConfig
from pipelines.experiment import CheckpointConfig
from pipelines.language.experiment import EnginesConfig, LanguageExperiment, SamplingConfig
from pipelines.language.tiny_model import Config as TinyConfig
from pipelines.tracking import Config as TrackingConfig


def small(**changes) -> LanguageExperiment:
    """One that is done in a second, once its model is made."""
    settings = {
        "name": "small",
        "task": "arithmetic",
        "task_options": {"digits": 2},
        "updates": 3,
        "prompts": 4,
        "group_size": 4,
        "engines": EnginesConfig(count=2),
        "learner": LearnerConfig(learning_rate=1e-3),
        "sampling": SamplingConfig(max_tokens=4),
        "tiny": TinyConfig(
            hidden=16, heads=2, layers=1, context=32, start=0.005, every=10, batch=32, measure_prompts=64
        ),
        "tracking": TrackingConfig(enabled=False),
        "checkpoint": CheckpointConfig(every_s=1e6),
        "max_staleness": 0,
        "report_every_s": 0.01,
    }
    return LanguageExperiment(**{**settings, **changes})
