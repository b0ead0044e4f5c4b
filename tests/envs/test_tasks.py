import pickle
import sys
import textwrap

import pytest

from envs.captions import NoCaptions
from envs.environment import Task
from envs.gymnasium_env import GymnasiumEnvironment
from envs.tasks import TASKS, make_task

LAB = """
    import gymnasium
    from gymnasium import spaces
    import numpy as np
    from envs.catch import Catch, CatchCaptioner
    from envs.environment import Task

    class Maze(gymnasium.Env):
        observation_space = spaces.Box(0, 1, (2,))
        action_space = spaces.Discrete(2)
        def __init__(self, size=3): self.size = size
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(2, np.float32), {}
        def step(self, action): return np.zeros(2, np.float32), 0.0, False, False, {}

    class Ours(Catch): pass

    class Talker(CatchCaptioner): pass

    def whole(rows: int = 4) -> Task:
        return Task("whole", "", lambda: Catch(rows=rows), CatchCaptioner, "win")
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "lab_of_a_user.py").write_text(textwrap.dedent(LAB))
    monkeypatch.syspath_prepend(tmp_path)
    yield "lab_of_a_user"
    sys.modules.pop("lab_of_a_user", None)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_name_a_goal_and_travels_by_pickle(name):
    task = pickle.loads(pickle.dumps(make_task(name, max_episode_steps=9)))
    assert isinstance(task, Task) and task.name == name and task.goal and task.summary
    assert callable(task.make_captioner().caption)


def test_the_table_has_the_promised_tasks():
    nethack = {"score", "oracle", "staircase", "staircase-3", "staircase-4"}
    assert {f"nethack-{name}" for name in nethack} <= set(TASKS)
    assert sum(name.startswith("minihack-") for name in TASKS) >= 13


def test_a_goal_can_be_given():
    assert make_task("nethack-score", goal="collect gold").goal == "collect gold"
    assert make_task("nethack-score").goal == "explore and descend"
    assert make_task("catch", goal="miss the ball").goal == "miss the ball"


def test_ids_of_gymnasium_and_minihack_are_tasks():
    assert isinstance(make_task("CartPole-v1").make(), GymnasiumEnvironment)
    pytest.importorskip("nle")
    assert make_task("MiniHack-River-Lava-v0").name == "MiniHack-River-Lava-v0"


def test_a_dotted_path_to_a_gymnasium_environment_is_a_task(lab):
    task = pickle.loads(pickle.dumps(make_task(f"{lab}:Maze", size=5, max_episode_steps=2)))
    env = task.make()
    assert env._inner.size == 5
    env.reset(0)
    assert [env.step(0).last for _ in range(2)] == [False, True]
    assert isinstance(task.make_captioner(), NoCaptions)


def test_a_dotted_path_to_an_environment_of_ours_is_a_task(lab):
    task = make_task(f"{lab}:Ours", captioner=f"{lab}:Talker", max_episode_steps=2)
    env = task.make()
    env.reset(0)
    assert [env.step(1).last for _ in range(2)] == [False, True]
    assert type(task.make_captioner()).__name__ == "Talker"


def test_a_dotted_path_to_a_function_that_returns_a_task_is_that_task(lab):
    task = make_task(f"{lab}:whole", rows=6)
    assert task.name == "whole" and task.make().spec.observation["board"].shape == (6, 5)


def test_an_unknown_name_is_refused_with_the_closest_ones_and_how_to_add_one():
    with pytest.raises(ValueError, match=r"got task 'nethack-scroe'; closest: nethack-score.*add a line to TASKS"):
        make_task("nethack-scroe")
    with pytest.raises(ValueError, match="closest: CartPole-v1"):
        make_task("CartPole-v9")


def test_a_path_that_leads_nowhere_is_refused(lab):
    with pytest.raises(ValueError, match="cannot load 'no_such_lab:Maze'"):
        make_task("no_such_lab:Maze")
    with pytest.raises(ValueError, match=f"cannot load '{lab}:Labyrinth'"):
        make_task(f"{lab}:Labyrinth")
