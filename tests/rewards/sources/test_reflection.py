from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.columns import Column
from rewards.sources.reflection import GuidanceMemory, improvement


def test_guidance_earns_what_later_attempts_gain_and_what_is_not_known_is_in_no_mean():
    after = Column(
        np.array([[[0.5, 1.0], [0.0, 9.0], [9.0, 9.0]], [[1.0, 1.0]] * 3]),
        np.array([[[True, True], [True, False], [False, False]], [[True, True]] * 3]),
    )
    found = improvement(Column(np.array([0.25, 0.0]), np.array([True, False])), after)
    assert found.valid.tolist() == [[True, True, False], [False] * 3]
    assert found.values[0, :2].tolist() == [0.5, -0.25]
    with pytest.raises(ValueError, match=r"expected \[P\] and \[P, G, K\]"):
        improvement(Column.full([0.0]), Column.full([[0.0]]))


def test_a_memory_reads_the_best_first_and_the_newer_of_equals():
    memory = GuidanceMemory(each=3)
    memory.write("t", "plan anew", 0.1)
    memory.write("t", "look further")
    memory.write("t", "cite", 0.1)
    assert memory.read("t", most=9) == ("cite", "plan anew", "look further") and memory.read("u") == ()
    memory.write("t", "shorten", -0.5)
    assert memory.read("t", most=9) == ("cite", "plan anew", "look further")


def test_a_memory_forgets_the_task_that_was_written_about_least_lately():
    memory = GuidanceMemory(tasks=2)
    for task in ("a", "b", "a", "c"):
        memory.write(task, f"of {task}", 1.0)
    assert len(memory) == 2 and memory.read("b") == () and memory.read("a") == ("of a",)
    with pytest.raises(ValueError, match="at least 1"):
        GuidanceMemory(each=0)
    with pytest.raises(ValueError, match="finite"):
        memory.write("a", "nothing", math.nan)
