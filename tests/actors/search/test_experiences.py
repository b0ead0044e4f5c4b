from __future__ import annotations

import numpy as np
import pytest

from actors.search.experiences import Experience, ExperienceMemory, best_action


def done(action, reward, at=0.0, stage="model"):
    return Experience(stage, np.array([at]), action, reward)


def test_a_memory_of_nothing_is_none():
    memory = ExperienceMemory(size=0)
    memory.write(done("ridge", 1.0))
    assert len(memory) == 0 and memory.recall("model", np.zeros(1)) == () and best_action(()) is None


def test_the_nearest_of_the_stage_are_recalled_the_best_first():
    memory = ExperienceMemory()
    for one in (done("a", 0.1, 0.0), done("b", 0.9, 1.0), done("c", 5.0, 9.0), done("d", 7.0, 0.0, "features")):
        memory.write(one)
    recalled = memory.recall("model", np.array([0.2]), most=2)
    assert [one.action for one in recalled] == ["b", "a"]


def test_what_gained_least_is_forgotten_the_older_of_equals():
    memory = ExperienceMemory(size=2)
    for action, reward in (("a", 0.5), ("b", 0.1), ("c", 0.7), ("d", 0.5)):
        memory.write(done(action, reward))
    assert [one.action for one in memory.recall("model", np.zeros(1))] == ["c", "d"]


def test_an_action_is_as_good_as_the_mean_of_its_rewards():
    assert best_action([done("a", 1.0), done("b", 0.6), done("a", 0.0)]) == "b"


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 0"):
        ExperienceMemory(-1)
    with pytest.raises(ValueError, match="expected finite"):
        ExperienceMemory().write(done("a", float("nan")))
