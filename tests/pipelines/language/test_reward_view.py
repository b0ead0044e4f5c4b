"""Views over the named rewards of a language run, by numbers worked by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from answers import answer

from envs.language.trajectory import to_batch
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.reward_view import advantage_of_answers, fact, layout_of, spread_over_tokens
from pipelines.language.rewards import RewardSet
from pipelines.language.tasks import task_of
from rewards.functions import reward
from rewards.views.view import ADVANTAGE


@reward(subject="row", version="1")
def neat(completion: str) -> float:
    """A second reward."""
    return float(len(completion))


# Two groups of two: the first answer has two replies of 1 and 2 tokens with the world's words between, the last broke.
ROWS = pa.Table.from_batches(
    [
        to_batch(
            [
                answer(7, 0, [0, 1, 0, 1, 1], [2, 5], [None, 0.5]),
                answer(7, 1, [0, 1, 1], [3], [1.0], "length"),
                answer(3, 0, [0, 1, 1, 1], [4], [None]),
                answer(3, 1, [0, 0], [], [], "aborted"),
            ]
        )
    ]
)
VALUES = {
    "right": {"0/0/7/0": 1.0, "0/0/7/1": 1.0, "0/0/3/0": 0.0},
    "neat": {"0/0/7/0": 5.0, "0/0/7/1": None, "0/0/3/0": 2.0},
}


def rewards(*parts, method="dr_grpo", weights=None, components=None):
    view = {"name": "mine", "components": components or {}, "parts": parts}
    config = RewardsConfig(functions={"neat": f"{__name__}:neat"}, view=view, weights=weights or {})
    experiment = LanguageExperiment(task="arithmetic", group_size=2, method=method, rewards=config)
    return RewardSet(experiment, task_of(experiment))


def seen(found):
    return found.seen(ROWS, found.columns(ROWS, VALUES), learn=True)


def test_replies_nest_in_answers_and_answers_in_groups_in_the_order_in_which_they_come():
    layout = layout_of(ROWS)
    assert layout.steps.tolist() == [2, 1, 1, 1] and layout.group.tolist() == [0, 0, 1, 1]
    assert layout.tokens.tolist() == [1, 2, 2, 3, 0]
    assert [fact(ROWS, name).values.tolist() for name in ("length", "turns")] == [[3, 2, 3, 0], [2, 1, 1, 0]]
    paid, finished = fact(ROWS, "paid"), fact(ROWS, "finished")
    assert paid.valid.tolist() == [False, True, True, False, False] and paid.values[1:3].tolist() == [0.5, 1.0]
    assert finished.valid.tolist() == [True, True, True, False] and finished.values[:3].tolist() == [1, 0, 1]
    assert fact(ROWS, "log_prob").values.tolist() == [-1, -3, -4, -1, -2, -1, -2, -3]


def test_named_rewards_are_clipped_gated_and_summed_and_null_stays_null():
    found = rewards(
        {"part": "clip", "of": "neat", "low": 0, "high": 3},
        {"part": "gate", "of": "neat", "by": "right", "least": 0.5},
        {"part": "weighted_sum", "coefficients": {"right": 1, "neat": 0.5}},
    )
    made = seen(found)
    assert made.weight.tolist() == [1, 0, 1, 0] and made.reward.tolist() == [2.5, 0, 0, 0]  # 1 + 0.5·3; 0, gate closed
    assert not made.advantage.valid.any()  # nobody has a rival whose reward is known
    assert found.version != rewards({"part": "scale", "of": "right", "factor": 2, "to": "reward"}).version
    assert found.paying == ("right", "neat") and found.gold == ""


def test_the_method_s_advantage_follows_a_view_that_ends_at_the_reward():
    made = seen(
        rewards(
            {"part": "scale", "of": "length", "factor": -0.5, "to": "short"},
            {"part": "weighted_sum", "coefficients": {"right": 1, "short": 1}},
        )
    )
    assert made.reward[:3].tolist() == [-0.5, 0.0, -1.5]
    assert made.advantage.values[:2].tolist() == [-0.25, 0.25] and not made.advantage.valid[2:].any()


def test_multipliers_of_a_trade_off_learn_from_batch_to_batch_and_only_when_they_are_told_to():
    found = rewards({"part": "lagrangian", "of": "right", "limits": {"length": 2.0}, "rate": 0.1, "form": "softmax"})
    before = found.view.state_dict()
    found.seen(ROWS, found.columns(ROWS, VALUES))
    assert found.view.state_dict() == before
    seen(found)
    (state,) = [one for one in found.view.state_dict()["parts"] if one]
    start = before["parts"][0]["z"][0]
    assert state["z"][0] == pytest.approx(start + 0.1 * ((3 + 2 + 3 + 0) / 4 - 2.0))


def test_an_advantage_of_each_reply_reaches_the_tokens_of_that_reply_alone():
    found = rewards(
        {"part": "scale", "of": "right", "factor": 1, "to": "reward"},
        {"part": "group_relative", "of": "paid", "baseline": "none", "scale": "none", "least": 1},
    )
    made = seen(found)
    assert made.levels[ADVANTAGE] == "step"
    arrays = spread_over_tokens(made.advantage, "step", ROWS, layout_of(ROWS))
    np.testing.assert_array_equal(arrays[0], [0, np.nan, 0, 0.5, 0.5])
    np.testing.assert_array_equal(arrays[1], [0, 1, 1])
    shown = advantage_of_answers(made, ROWS)
    assert shown.valid.tolist() == [True, True, False, False] and shown.values[:2].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("parts", "settings", "words"),
    [
        (
            [{"part": "clip", "of": "tidy", "low": 0, "high": 1, "to": "reward"}],
            {},
            "got column 'tidy'; expected one of",
        ),
        ([{"part": "count_decay", "of": "right", "to": "reward"}], {}, r"count_decay\): got 'caption_count', a column"),
        ([{"part": "scale", "of": "paid", "factor": 1, "to": "reward"}], {}, "pays each step; .* `reduce` to episodes"),
        (
            [{"part": "scale", "of": "right", "factor": 1, "to": "reward"}],
            {"components": {"right": "token"}},
            "got 'right', a column of each episode; expected one of each token",
        ),
        (
            [{"part": "scale", "of": "right", "factor": 1, "to": "reward"}],
            {"weights": {"right": 0.5}},
            r"rewards.weights.right: got 0.5, and view 'mine' reads it; .* leave the weight out",
        ),
        (
            [
                {"part": "scale", "of": "right", "factor": 1, "to": "reward"},
                {"part": "group_relative", "of": "reward"},
            ],
            {"method": "ppo"},
            "goes on to an advantage, and method=ppo makes its own",
        ),
    ],
)
def test_a_view_that_needs_what_an_answer_does_not_have_is_refused(parts, settings, words):
    with pytest.raises(UserError, match=words):
        rewards(*parts, **settings)


def test_a_view_cannot_be_over_a_reward_model_that_is_not_there_yet():
    view = {"name": "v", "parts": [{"part": "scale", "of": "judge", "factor": 1, "to": "reward"}]}
    with pytest.raises(ValidationError, match=r"rewards\.view is over rewards that are there at the start"):
        LanguageExperiment(
            task="praise", preferences={"into": "reward_model"}, rewards={"view": view}, method="ppo", group_size=1
        )


def test_an_experiment_without_a_view_is_the_same_experiment_as_before_there_were_any():
    plain, viewed = (
        LanguageExperiment(task="arithmetic", rewards=RewardsConfig(view=view))
        for view in (None, {"name": "v", "parts": [{"part": "scale", "of": "right", "factor": 2, "to": "reward"}]})
    )
    assert plain.identity() != viewed.identity()
    assert LanguageExperiment.model_validate(viewed.model_dump(mode="json")) == viewed


@reward(subject="row", version="1")
def length(completion: str) -> float:
    """A reward that is called as a fact of answers is."""
    return float(len(completion))


def summed(task="arithmetic", **settings):
    """The rewards of a task as a weighted sum, without a view of one's own."""
    experiment = LanguageExperiment(task=task, group_size=2, method="dr_grpo", rewards=RewardsConfig(**settings))
    return RewardSet(experiment, task_of(experiment))


# Where the world alone pays: it went on, was done, failed after it had paid, failed at once; and paid nothing, twice.
PAID_ALONE = pa.Table.from_batches(
    [
        to_batch(
            [
                answer(7, 0, [0, 1], [2], [0.0], "turns"),
                answer(7, 1, [0, 1], [2], [1.0]),
                answer(5, 0, [0, 1, 0, 1], [2, 4], [0.0, None], "aborted"),
                answer(5, 1, [0, 1], [2], [None], "aborted"),
                answer(3, 0, [0, 1], [2], [None], "length"),
                answer(3, 1, [0, 1], [2], [None]),
            ]
        )
    ]
)


@pytest.mark.parametrize("on_null", ["mask", "omit"])
def test_an_answer_that_the_world_failed_is_null_and_no_zero_also_where_the_world_alone_pays(on_null):
    found = summed("text_world", on_null=on_null)
    columns = found.columns(PAID_ALONE, {})
    assert columns["world"].valid.tolist() == [True, True, False, False, False, False]
    made = found.seen(PAID_ALONE, columns)
    assert made.weight.tolist() == [1, 1, 0, 0, 1, 1] and made.reward.tolist() == [0, 1, 0, 0, 0, 0]
    assert made.advantage.values[:2].tolist() == [-0.5, 0.5] and not made.advantage.valid[2:4].any()
    assert found.attribute(PAID_ALONE, columns)["reward"]["world"][1] == 1


def test_a_reward_that_is_called_as_a_fact_of_answers_pays_what_it_says_and_not_the_fact():
    found = summed(functions={"length": f"{__name__}:length"}, weights={"right": 0.0})
    values = {"right": {}, "length": {"0/0/7/0": 0.25, "0/0/7/1": 0.5, "0/0/3/0": None}}
    made = found.seen(ROWS, found.columns(ROWS, values))
    assert made.reward.tolist() == [0.25, 0.5, 0, 0] and made.weight.tolist() == [1, 1, 0, 0]


def test_a_reward_cannot_be_called_as_what_the_world_pays():
    with pytest.raises(UserError, match="reward world: answers have another column of that name"):
        summed(functions={"world": f"{__name__}:length"})
