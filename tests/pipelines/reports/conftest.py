"""A small run, played once, and a headless browser to look at its report."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "language"))
from small import small

from benchmarks.apparatus.browser import Browser, find_browser
from pipelines.display import LineDisplay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.run import Run
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.train import train
from pipelines.local import run_local
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status


class Umpire:
    """Helpful is what is caught or above; of the ball to the right it does not know what to say."""

    fingerprint = "umpire-1"

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        return [self._answer(question.texts[0]) for question in questions]

    def _answer(self, text: str) -> Answer:
        if "right" in text:
            return Answer(Status.UNPARSEABLE, None, "said <b>maybe</b>")
        return Answer(Status.OK, 1.0 if "catch" in text or "above" in text else 0.0)


def play(runs: Path, seed: int = 0) -> RunDirectory:
    """A run of 1,500 frames in this process."""
    recipe = catch()
    experiment = recipe.model_copy(
        update={
            "frames": 1_500,
            "seed": seed,
            "runner": "local",
            "report_every_s": 1e-6,
            "reward": recipe.reward.model_copy(update={"source": "retrieval"}),
            "annotation": recipe.annotation.model_copy(update={"max_attempts": 1}),
        }
    )
    directory = RunDirectory.create(runs, f"small-{seed}")
    run = Run(experiment, directory, LineDisplay(experiment.frames, every_s=1e12), "umpire")
    write_config(experiment, directory)
    run_local(run, None, Umpire())
    run.report(force=True)
    run.close()
    directory.unlock()
    return directory


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, played once for all tests of the report."""
    return play(tmp_path_factory.mktemp("runs")).root


@pytest.fixture
def finished(played: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the run, to be read or damaged."""
    return RunDirectory(Path(shutil.copytree(played, tmp_path / "small")))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A small language run, of which a reward fails for half of the answers with a hostile cause."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUERDON_CACHE", str(models))
        patch.syspath_prepend(str(Path(__file__).parent))
        rewards = RewardsConfig(functions={"hostile": "hostile_reward:hostile"}, attempts=1)
        return train(small(rewards=rewards), tmp_path_factory.mktemp("runs"), None, say=lambda text: None).root


@pytest.fixture
def answered(spoken: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the language run."""
    return RunDirectory(Path(shutil.copytree(spoken, tmp_path / "spoken")))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    if find_browser() is None:
        pytest.skip("no Chromium is installed here (Debian: apt install chromium)")
    # A proxy in the environment must not come between the test and the browser on this machine.
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        with Browser() as page:
            yield page
    finally:
        os.environ.update(proxies)
