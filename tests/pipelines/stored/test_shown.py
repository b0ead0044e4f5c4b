from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.display import LineDisplay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.local import run_local
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory
from pipelines.stored.shown import Episode, inspect_run, read_episodes
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


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, played once for all tests of this file."""
    recipe = catch()
    experiment = recipe.model_copy(
        update={
            "frames": 1_500,
            "runner": "local",
            "report_every_s": 1e-6,
            "reward": recipe.reward.model_copy(update={"source": "retrieval"}),
            "annotation": recipe.annotation.model_copy(update={"max_attempts": 1}),
        }
    )
    directory = RunDirectory.create(tmp_path_factory.mktemp("runs"), "small")
    run = Run(experiment, directory, LineDisplay(experiment.frames, every_s=1e12), "umpire")
    write_config(experiment, directory)
    run_local(run, None, Umpire())
    run.report(force=True)
    run.close()
    directory.unlock()
    return directory.root


@pytest.fixture
def finished(played: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the run, to be read or damaged."""
    return RunDirectory(Path(shutil.copytree(played, tmp_path / "small")))


def inspect(directory: RunDirectory, **settings: object) -> str:
    known = {"episode": "", "episodes": 1, "steps": 40, "first": 0, "all": False}
    return "\n".join(inspect_run(directory, **(known | settings)))


@pytest.mark.slow
def test_an_episode_is_shown_with_board_action_reward_and_verdict(finished: RunDirectory) -> None:
    text = inspect(finished)
    assert text.count("step ") == 9
    assert re.search(r"action (left \(0\)|stay \(1\)|right \(2\))", text)
    assert "  │ ....." in text and "o" in text and "=" in text
    assert "umpire-1" in text and "attempt 1" in text
    assert "reward = extrinsic + 0.2·[intrinsic/caption_count^3]" in text or "caption_count^3" in text
    assert re.search(r"end: terminated, (not )?solved", text)


@pytest.mark.slow
def test_the_reward_shown_is_the_sum_of_its_parts(finished: RunDirectory) -> None:
    lines = [line for line in inspect(finished, episodes=5).splitlines() if line.startswith("  reward ")]
    assert len(lines) == 45
    for line in lines:
        extrinsic, intrinsic, total = (
            float(x) for x in re.fullmatch(r"  reward +(\S+) \(extrinsic\) (\S+) \(intrinsic\) = (\S+)", line).groups()
        )
        assert total == pytest.approx(extrinsic + intrinsic, abs=1e-3)


@pytest.mark.slow
def test_a_judged_caption_earns_its_verdict_over_its_count_cubed(finished: RunDirectory) -> None:
    coefficient = 0.1
    for step in re.split(r"\n(?=step )", inspect(finished, episodes=20)):
        if "caption   The ball is above you." in step:
            count = int(re.search(r"time (\d+) here", step)[1])
            shown = float(re.search(r"(\S+) \(intrinsic\) =", step)[1])
            assert shown == pytest.approx(coefficient / count**3, rel=1e-3)


@pytest.mark.slow
def test_a_verdict_that_could_not_be_had_is_null_with_its_cause(finished: RunDirectory) -> None:
    text = inspect(finished, episodes=30)
    assert "verdict   NULL, unparseable: said <b>maybe</b>" in text
    step = next(s for s in re.split(r"\n(?=step )", text) if "ball is to your right" in s)
    assert "intrinsic NULL" in step


def test_captions_without_a_verdict_are_not_judged(finished: RunDirectory) -> None:
    shutil.rmtree(finished.verdicts)
    shutil.rmtree(finished.checkpoints)
    text = inspect(finished)
    assert "verdict   not judged" in text
    assert "missing: there is no checkpoint" in text
    assert "  reward " not in text


def test_verdicts_are_found_in_the_checkpoint_where_the_log_is_lost(finished: RunDirectory) -> None:
    expected = inspect(finished)
    shutil.rmtree(finished.verdicts)
    assert inspect(finished) == expected


def test_steps_are_limited_and_the_rest_is_counted(finished: RunDirectory) -> None:
    text = inspect(finished, steps=2, first=3)
    assert re.findall(r"^step (\d+)", text, re.M) == ["3", "4"]
    assert "(4 more steps;" in text


def test_an_episode_is_found_by_its_id(finished: RunDirectory) -> None:
    ident = list(read_episodes(finished))[2]
    assert f"episode {ident}:" in inspect(finished, episode=ident)


def test_an_unknown_episode_is_refused_with_some_that_there_are(finished: RunDirectory) -> None:
    known = list(read_episodes(finished))
    with pytest.raises(UserError, match=rf"got episode '7/7'; expected one of the {len(known)} .*{known[-1]}"):
        inspect(finished, episode="7/7")


def test_a_run_without_records_is_refused_with_the_remedy(finished: RunDirectory) -> None:
    shutil.rmtree(finished.experience)
    with pytest.raises(UserError, match="record_mb"):
        inspect(finished)


def test_experience_that_was_damaged_is_refused_and_not_shown(finished: RunDirectory) -> None:
    rows = max(finished.experience.glob("*.arrow"), key=lambda path: path.stat().st_size)
    damaged = bytearray(rows.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    rows.write_bytes(damaged)
    with pytest.raises(UserError, match="its experience cannot be read"):
        inspect(finished)


def test_an_episode_whose_beginning_was_deleted_is_not_whole() -> None:
    batch = None
    assert Episode("a", [(0, 4, batch, 0), (4, 2, batch, 0)], ended=True).whole
    assert not Episode("a", [(4, 2, batch, 0)], ended=True).whole
    assert not Episode("a", [(0, 4, batch, 0), (5, 2, batch, 0)], ended=True).whole
    assert not Episode("a", [(0, 4, batch, 0)]).whole


@pytest.mark.parametrize("settings", [{"episodes": 0}, {"steps": 0}, {"first": -1}])
def test_numbers_out_of_range_are_refused(finished: RunDirectory, settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected at least"):
        inspect(finished, **settings)
