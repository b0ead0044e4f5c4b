"""RLlib waits for room without end; a run on it does not."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from cluster.placement import Shape
from pipelines.errors import UserError
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.rllib import engine
from pipelines.scaling import asks


@pytest.fixture
def experiment():
    made = apply(find_recipe("rllib-ppo"), {"task": "catch", "actors.count": 4, "placement.wait_s": 0.1})
    return made.model_copy(update={"task_options": {}})  # those of the recipe's own task


def test_what_the_cluster_can_never_give_is_told_before_anything_begins(experiment, monkeypatch):
    monkeypatch.setattr(engine, "ray_session", lambda config, cpus: nullcontext())
    monkeypatch.setattr(engine, "keeping", lambda run, states: pytest.fail("it has begun"))
    monkeypatch.setattr(asks, "shapes_now", lambda: ([Shape({"CPU": 2.0})], []))
    monkeypatch.setattr(asks, "autoscaled", lambda: False)
    with pytest.raises(UserError, match="actors asks for 4 × CPU 1"):
        engine.run_rllib(SimpleNamespace(experiment=experiment), None)


def test_env_runners_that_find_no_room_end_the_run_with_the_remedy(experiment, monkeypatch):
    monkeypatch.setattr(engine, "START_S", 0.1)
    over = threading.Event()
    try:
        with pytest.raises(UserError, match=r"4 env runners have not begun within 0 s .* lower actors\.count"):
            engine._built(SimpleNamespace(build_algo=over.wait), experiment)
    finally:
        over.set()
    assert engine._built(SimpleNamespace(build_algo=lambda: "algorithm"), experiment) == "algorithm"
