"""What a report reads of stored experience is what the view reads."""

from __future__ import annotations

from pipelines.reports.sampling import sample_rewards
from pipelines.reward_stage import RewardStage
from pipelines.run_directory import stored_experiment


def test_a_sample_keeps_what_observed_columns_are_made_of(stored):
    view = {"name": "own", "parts": [{"part": "weighted_sum", "coefficients": {"paddle": 1.0}}]}
    observed = {"reward.source": "extrinsic", "reward.observed": {"paddle": "board.9.0"}, "reward.view": view}
    directory = stored(observed)
    sample = sample_rewards(directory, RewardStage(stored_experiment(directory).reward))
    assert sample is not None and sample.rows and set(sample.reward.tolist()) <= {0.0, 1.0, 2.0}
