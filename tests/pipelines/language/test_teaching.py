"""What each learner takes of a batch: shares that make the whole, and its gradient also where idle answers go."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from answers import answer

from envs.language.trajectory import to_batch
from learners.language.aggregation import coefficients
from learners.language.learner import Config as LearnerConfig
from learners.language.presets import preset
from pipelines.driver.seats import ONLY, Seat
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.teaching import Teaching

# Four groups of two: of equals, of rivals, unjudged, and of rivals; the last answer is the longest, the first broke.
OWN = [0, 2, 1, 3, 2, 2, 3, 4]
RIGHT = [1.0, 1.0, 1.0, 0.0, None, None, 0.0, 1.0]
ROWS = pa.Table.from_batches(
    [
        to_batch(
            [
                answer(place // 2, place % 2, [0] + [1] * own, [1 + own] if own else [], [0.5] if own else [])
                for place, own in enumerate(OWN)
            ]
        )
    ]
)
VALUES = {"right": dict(zip(ROWS.column("row_id").to_pylist(), RIGHT, strict=True))}


def taught(method="grpo", seat=ONLY, parts=None, **changes):
    view = None if parts is None else {"name": "mine", "parts": parts}
    experiment = LanguageExperiment(
        task="arithmetic", group_size=2, method=method, rewards=RewardsConfig(view=view), **changes
    )
    config = LearnerConfig(loss=preset(method, 8).loss)
    return Teaching(experiment, config, seat).of(ROWS, VALUES, 3)


def streams(batch):
    return {"token_ids": batch.token_ids, "loss_mask": batch.loss_mask, **batch.streams}


def same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


PAID = [
    {"part": "scale", "of": "right", "factor": 1, "to": "reward"},
    {"part": "group_relative", "of": "paid", "baseline": "none", "scale": "none", "least": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"skip_idle": False}, {"method": "dapo"}, {"parts": PAID}, {"method": "ppo"}])
def test_the_shares_of_three_learners_are_the_batch_of_one_and_all_tell_of_all_answers(settings):
    whole = taught(**settings)
    shares = [taught(seat=Seat(rank, 3), **settings) for rank in range(3)]
    assert [one.metrics for one in shares] == [whole.metrics] * 3 and whole.metrics["own_tokens"] == sum(OWN)
    assert [one.seen for one in shares] == [whole.seen] * 3
    joined = [streams(one.batch) for one in shares]
    for name, stream in streams(whole.batch).items():
        same(torch.cat([one[name] for one in joined]), stream)
    same(torch.cat([one.batch.lengths for one in shares]), whole.batch.lengths)
    assert [name for one in shares for name in one.batch.row_ids] == list(whole.batch.row_ids)


@pytest.mark.parametrize("method", ["grpo", "dr_grpo", "dapo"])
def test_answers_that_cannot_move_a_weight_are_left_out_and_the_gradient_stays_that_of_all(method):
    some, everything = taught(method), taught(method, skip_idle=False)
    assert some.batch.row_ids == ("0/0/1/0", "0/0/1/1", "0/0/3/0", "0/0/3/1") and len(everything.batch.row_ids) == 8
    assert some.metrics == everything.metrics and some.metrics["groups_without_signal"] == 0.5

    def pulls(batch):
        """What each token's log-probability is multiplied by in the loss, by the answer that it is of."""
        share = coefficients(batch.weights, batch.sequence, preset(method, 8).loss.aggregation)
        pull = share * batch.streams["advantages"].nan_to_num()
        return dict(zip(batch.row_ids, pull.split(batch.lengths.tolist()), strict=True))

    kept, known = pulls(some.batch), pulls(everything.batch)
    for name, pull in known.items():
        torch.testing.assert_close(kept.get(name, torch.zeros_like(pull)), pull)


def test_where_so_few_are_left_that_not_every_learner_has_one_all_stay():
    assert len(taught(seat=Seat(0, 5)).batch.row_ids) == 2 and len(taught(seat=Seat(4, 5)).batch.row_ids) == 1
