"""That something is learnt: the whole loop in one process, on the smallest world."""

from __future__ import annotations

import pytest
import torch

from pipelines.display import LineDisplay
from pipelines.environment.run import Run
from pipelines.local import run_local
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory


def trained(tmp_path, **values):
    torch.set_num_threads(1)
    experiment = apply(catch(), {"runner": "local", "tracking.enabled": False, "checkpoint.every_s": 1e6, **values})
    directory = RunDirectory(tmp_path)
    run = Run(experiment, directory, LineDisplay(0, every_s=1e9), "")
    run_local(run, None)
    run.close()
    return run.status.summary()


@pytest.mark.slow
def test_catch_is_learnt_from_what_the_environment_pays(tmp_path):
    numbers = trained(tmp_path)
    assert numbers["success_rate"] > 0.8 and numbers["episode_return"] > 0.6
