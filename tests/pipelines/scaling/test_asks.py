"""What experiments ask a cluster for, by role."""

from __future__ import annotations

import pytest

from cluster.placement import Impossible, Shape, check_room
from pipelines.language.experiment import LanguageExperiment
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.recipes.table import find_recipe
from pipelines.scaling.asks import asks_of, language_asks, needed_cpus


def test_roles_ask_for_what_their_settings_say_and_the_replay_stands_with_the_driver():
    values = {"reward": "retrieval", "judge": "rules", "actors.count": 3, "serving.replicas": 2, "serving.gpus": 0.5}
    values |= {"placement.actors.labels.pool": "cpu", "learner_device": "cuda", "learners": 1, "replay.shards": 2}
    asks = asks_of(apply(catch(), values), "here")
    assert {role: ask.count for role, ask in asks.items()} == {
        "replay": 2,
        "learner": 1,
        "actors": 3,
        "trainer": 1,
        "judge": 2,
    }
    assert asks["actors"].labels == {"pool": "cpu"} and asks["judge"].bundle == {"CPU": 1.0, "GPU": 0.5}
    assert asks["learner"].bundle["GPU"] == 0.25 and asks["replay"].node == "here" and asks["actors"].node is None
    assert asks_of(apply(catch(), {"placement.replay_anywhere": True}), "here")["replay"].node is None


@pytest.mark.parametrize("asks", [asks_of, language_asks])
def test_a_head_that_offers_no_cpu_has_room_for_the_replay_of_the_driver_there(asks):
    experiment = catch() if asks is asks_of else LanguageExperiment(task="copy")
    needed = asks(experiment, "head")
    nodes = [Shape({"memory": 1e9}, name="head"), Shape({"CPU": 4.0}, name="worker")]
    check_room(list(needed.values()), nodes)
    wants = asks(apply(experiment, {"placement.replay.cpus": 1}), "head")
    with pytest.raises(Impossible, match="on the node of the driver"):
        check_room(list(wants.values()), nodes)


def test_a_started_ray_has_room_for_as_many_as_there_may_ever_be():
    assert needed_cpus(catch()) == 1 + 1 + 1 + 1, "one actor, one learner, one share of the replay, and one to spare"
    assert needed_cpus(apply(catch(), {"scaling.actors.most": 5, "scaling.actors.least": 1})) == 5 + 1 + 1 + 1


def test_a_run_begins_with_the_least_that_it_needs():
    few = apply(catch(), {"actors.count": 4, "scaling.actors.least": 2})
    assert asks_of(few)["actors"].count == 2


def test_rllib_asks_for_its_runners_and_the_judge_alone():
    values = {"actors.count": 3, "serving.replicas": 2, "serving.cpus": 0.5, "serving.max_replicas": 4}
    asks = asks_of(apply(find_recipe("rllib-appo"), {"judge": "rules", "reward": "retrieval", **values}))
    assert {role: (ask.count, ask.bundle) for role, ask in asks.items()} == {
        "actors": (3, {"CPU": 1.0}),
        "judge": (2, {"CPU": 0.5}),
    }
    alone = apply(find_recipe("rllib-ppo"), {"reward": "extrinsic", "actors.count": 3})
    assert list(asks_of(alone)) == ["actors"] and needed_cpus(alone) == 3 + 1, "it learns in the driver's process"


def test_a_language_run_asks_for_engines_and_workers_of_rewards():
    experiment = LanguageExperiment(task="copy", engines={"count": 2, "gpus": 0.5}, learner_device="cuda:0")
    asks = language_asks(experiment, "here")
    assert asks["engines"].count == 2 and asks["engines"].bundle == {"CPU": 1.0, "GPU": 0.5}
    assert asks["learner"].bundle["GPU"] == 0.25 and asks["rewards"].count == 1
    assert needed_cpus(experiment) == 2 + 1 + 1 + 1 + 1


def test_an_elastic_group_of_learners_begins_with_the_least_and_may_grow_to_the_most():
    some = {"batch_fragments": 4, "learners": 2, "scaling.learners.least": 1, "scaling.learners.most": 4}
    assert asks_of(apply(catch(), some))["learner"].count == 1
    assert needed_cpus(apply(catch(), some)) == 1 + 4 + 1 + 1
