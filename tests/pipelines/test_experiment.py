"""What makes two experiments the same one, and what may change when a run is resumed."""

from __future__ import annotations

import hashlib

import pytest

from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.recipes.table import find_recipe

FREE = {
    "name": "other",
    "frames": 99_999,
    "minutes": 3.0,
    "runner": "local",
    "learner_threads": 2,
    "learner_device": "cuda",
    "learners": 1,
    "record_mb": 0,
    "report_every_s": 9.0,
    "stall_timeout_s": 9.0,
    "checkpoint.every_s": 9.0,
    "checkpoint.keep": 9,
    "ray.address": "auto",
    "serving.replicas": 2,
    "tracking.enabled": False,
    "replay.shards": 2,
    "storage": "memory://runs",
    "placement.actors.labels.pool": "cpu",
    "scaling.actors.most": 8,
    "scaling.learners.least": 1,
    "role_deadline_s": 9.0,
    "prices.request": 0.1,
    "cache.memory_entries": 5,
    "budget.requests": 9,
    "fallback.counts": False,
    "canaries.share": 0.5,
    "monitors.patience": 7,
    "rates.requests_per_minute": 9,
    "hedging.at_most": 0.01,
    "verdict_wait_s": 2.0,
}
BOUND = {
    "task": "minihack-river",
    "task_options.rows": 5,
    "seed": 1,
    "actors.count": 3,
    "actors.environments": 3,
    "actors.unroll_length": 3,
    "policy.hidden": 64,
    "learner.gamma": 0.5,
    "batch_fragments": 3,
    "max_staleness": 3,
    "reward.source": "count",
    "reward.count_exponent": 1.0,
    "reward.retrieval.kind": "retrieval",
    "judge.kind": "rules",
    "judge.goal": "collect gold",
    "annotation.order": "oldest",
    "offline": {"source": "runs/one", "store": "1234"},
}


@pytest.mark.slow
@pytest.mark.parametrize("key", FREE)
def test_lengths_places_and_intervals_are_free(key):
    judged = {"reward": "retrieval"}
    assert apply(catch(), {**judged, key: FREE[key]}).identity() == apply(catch(), judged).identity()


@pytest.mark.parametrize("key", [k for k in BOUND if k != "reward.retrieval.kind"])
def test_what_is_learnt_and_from_what_is_not(key):
    assert apply(catch(), {key: BOUND[key]}).identity() != catch().identity()


def test_where_the_source_of_an_offline_run_lies_is_free_and_what_it_holds_is_not():
    def identity(**values):
        return apply(catch(), {"offline": {"source": "runs/one", "store": "1234", **values}}).identity()

    assert identity() == identity(source="elsewhere/one")
    assert len({identity(), identity(store="5678"), identity(algorithm="vtrace"), identity(burn_in=3)}) == 4


def test_how_often_rllib_is_looked_at_is_free_and_whether_it_learns_is_not():
    recipe = find_recipe("rllib-ppo")
    assert apply(recipe, {"rllib.train_s": 9.0}).identity() == recipe.identity()
    assert apply(recipe, {"rllib": None}).identity() != recipe.identity()


def test_a_run_that_acts_has_the_identity_that_it_had_before_there_was_offline_learning():
    free = {key.split(".")[0] for key in FREE}
    text = catch().model_dump_json(
        exclude={
            **dict.fromkeys(free | {"offline", "rllib"}, True),
            "reward": {"view", "observed"},
            "learner": {"normalise_returns"},
        }
    )
    assert catch().identity() == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_every_key_is_either_free_or_bound():
    """A key that is added has to be put on one of the two sides, here and in `identity`."""
    said = {key.split(".")[0] for key in (*FREE, *BOUND)} | {"rllib"}  # not every experiment can have it: see above
    assert said == set(Experiment.model_fields)


def test_an_experiment_keeps_its_identity_through_yaml():
    import yaml

    again = Experiment.model_validate(yaml.safe_load(yaml.safe_dump(catch().model_dump(mode="json"))))
    assert again == catch() and again.identity() == catch().identity()


def test_the_reward_version_tells_sources_settings_and_judges_apart():
    versions = {
        apply(catch(), values).reward_version(judge)
        for values in ({}, {"reward": "ranking"}, {"reward.count_exponent": 1})
        for judge in ("a", "b")
    }
    assert len(versions) == 6
    assert catch().reward_version("a") == apply(catch(), {"seed": 5, "frames": 999}).reward_version("a")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scaling.learners.most": 4}, "must be a multiple of scaling.learners.most (4)"),
        ({"scaling.learners.most": 8}, "must be a multiple of scaling.learners.most (8)"),
        ({"scaling.learners.least": 3, "scaling.learners.most": 2}, "least 3 above most 2"),
        ({"scaling.learners.least": 0}, "greater than or equal to 1"),
        ({"scaling.learners.most": 2, "max_staleness": 0}, "leave scaling.learners out"),
        ({"scaling.learners.most": 2, "placement.learners": "SPREAD"}, "leave one of the two out"),
    ],
)
def test_learners_that_cannot_share_a_batch_or_are_bound_in_the_wrong_order_are_refused(values, said):
    with pytest.raises(UserError) as refused:
        apply(catch(), {"batch_fragments": 6, "frames": 10_000, **values})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reward": "extrinsic"}, "which asks no judge"),
        ({"reward": "ranking"}, "asks for pairs, not for each caption"),
        ({"offline": {"source": "runs/one", "store": "1234"}}, "learns offline"),
        ({"stall_timeout_s": 30}, "stall_timeout_s=30"),
        ({"verdict_wait_s": -1}, "greater than or equal to 0"),
    ],
)
def test_a_wait_for_verdicts_that_nobody_owes_or_that_would_be_a_stall_is_refused(values, said):
    with pytest.raises(UserError) as refused:
        apply(catch(), {"reward": "retrieval", "verdict_wait_s": 30, **values})
    assert said in str(refused.value)


def test_an_experiment_cannot_be_changed_or_extended():
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="frozen"):
        catch().seed = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        Experiment(task="catch", sede=1)
