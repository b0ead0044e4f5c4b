"""The plainest view: one score of each completion, compared within its group."""

from __future__ import annotations

from rewards.views.view import Config, RewardView


def grpo() -> RewardView:
    """GRPO on the component `score` of an episode."""
    parts = [
        {"part": "weighted_sum", "coefficients": {"score": 1.0}},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    ]
    return RewardView(Config.model_validate({"name": "score", "components": {"score": "episode"}, "parts": parts}))
