"""What RLlib's engine cannot do is refused before anything starts."""

import pytest

from pipelines.errors import UserError
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe


@pytest.mark.parametrize(
    ("recipe", "values", "message"),
    [
        ("rllib-appo", {"policy.recurrent": True}, "policy.recurrent=false"),
        ("rllib-appo", {"reward": "count"}, "novelty"),
        ("rllib-appo", {"reward.on_null": "mask"}, "rllib-ppo can mask"),
        ("rllib-appo", {"learner.lambda_": 0.9}, "no lambda"),
        ("rllib-appo", {"runner": "local"}, "RLlib runs on Ray"),
        ("rllib-appo", {"max_staleness": 0}, "bounds no staleness"),
        ("rllib-appo", {"scaling.actors.most": 9}, "keep their number"),
        ("rllib-appo", {"placement.actors.labels.pool": "cpu"}, "no placement"),
        ("rllib-ppo", {"learner.normalise_advantage": False}, "PPO always does"),
        ("rllib-ppo", {"learner.normalise_returns": True}, "returns as they are"),
        ("rllib-ppo", {"learner.value_clip": 1.0}, "clips another quantity"),
    ],
)
def test_what_rllib_cannot_follow_is_refused_with_the_remedy(recipe, values, message):
    with pytest.raises(UserError, match=message):
        apply(find_recipe(recipe), values)


def test_the_judge_of_rllib_stands_where_it_is_told_to():
    assert apply(find_recipe("rllib-appo"), {"placement.judge.labels.pool": "gpu"}).placement.judge.labels


def test_ppo_can_mask_and_the_engine_is_part_of_what_a_run_is():
    masked = apply(find_recipe("rllib-ppo"), {"reward.on_null": "mask"})
    plain = masked.model_copy(update={"rllib": None})
    assert masked.identity() != plain.identity()
