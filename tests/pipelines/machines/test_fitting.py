"""What would not fit is refused before anything starts, with what to lower."""

from __future__ import annotations

import numpy as np
import pytest

from envs.captions import NoCaptions
from envs.environment import Task
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.tasks import make_task
from envs.timestep import restart
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.machines.fitting import check_fits


def experiment(**actors):
    return Experiment(task="catch", frames=10**12, actors=actors, reward={"source": "extrinsic"}, policy={"hidden": 16})


class Drawn:
    """A Dict of one image, whose size is another in every instance."""

    made = 0

    def __init__(self):
        Drawn.made += 1
        self.spec = EnvSpec({"image": ArraySpec((Drawn.made, 4, 3), "uint8")}, Discrete(2))

    def reset(self, seed):
        return restart({"image": np.zeros(self.spec.observation["image"].shape, np.uint8)})

    def close(self):
        pass


def test_what_fits_gives_the_spec():
    assert set(check_fits(experiment(environments=3), make_task("catch")).observation) == {"board"}


def test_more_environments_than_memory_allows_are_refused_with_the_sum():
    with pytest.raises(UserError, match=r"2 actors of 200000000 environments .* GiB are free: lower actors.environ"):
        check_fits(experiment(environments=200_000_000, unroll_length=4, parts=1), make_task("catch"))


def test_environments_whose_spaces_differ_are_named():
    with pytest.raises(UserError, match=r"task 'drawn', environment 1, .*got spec .*; the spec of environment 0 is"):
        check_fits(experiment(environments=2), Task("drawn", "", Drawn, NoCaptions))


def test_a_policy_that_could_not_act_in_time_is_refused():
    clock = iter([0.0, 5.0])
    with pytest.raises(UserError, match=r"takes an actor about 160 s .* actors.deadline_s is 120"):
        check_fits(experiment(environments=2, unroll_length=32), make_task("catch"), lambda: next(clock))
