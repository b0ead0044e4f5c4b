"""The books of a language run: every group that was begun is stored, under way, or given up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small import small

from pipelines.display import LANGUAGE, LineDisplay, language_rows, progress
from pipelines.driver.training_clock import TrainingClock
from pipelines.errors import UserError
from pipelines.language.groups import GroupReport
from pipelines.language.rewards import RewardSet
from pipelines.language.roles import Update
from pipelines.language.run import LanguageRun
from pipelines.language.tasks import task_of
from pipelines.run_directory import RunDirectory, stored_experiment
from rewards.verdicts import Status, Verdict


@pytest.fixture
def books(tmp_path):
    experiment = small()
    directory = RunDirectory.create(tmp_path, "small")
    run = LanguageRun(
        experiment, directory, LineDisplay(3, 1e9, LANGUAGE), RewardSet(experiment, task_of(experiment)), "m"
    )
    yield run
    run.close()
    directory.unlock()


def report(group, engine=0):
    rows = tuple(f"{engine}/0/{group}/{member}" for member in range(4))
    return GroupReport((engine, 0, group), group, "p", rows, 0, 0, 8, 4, {"stop": 4})


def groups(books):
    return {name: books.accounts()["groups"][name] for name in ("begun", "stored", "under_way", "given_up")}


def test_groups_that_were_lost_with_their_engine_are_played_again_before_new_ones(books):
    first, second = books.begin_groups(2), books.begin_groups(2)
    books.lost(first)
    books.gathered(report(2))
    assert books.begin_groups(3) == [0, 1, 4] and second == [2, 3]
    books.give_up(3)
    assert groups(books) == {"begun": 5, "stored": 1, "under_way": 3, "given_up": 1}
    assert books.accounts()["groups"]["balanced"] and books.accounts()["lost_rollouts"] == 2


def test_a_run_that_goes_on_counts_what_was_stored_and_plays_what_was_not(books):
    books.begin_groups(4)  # as in the checkpoint: 0 was stored before it, 2 and 5 after it
    books.gathered(report(0))
    books.catch_up([report(0), report(2), report(5)])
    assert groups(books) == {"begun": 6, "stored": 3, "under_way": 3, "given_up": 0}
    assert books.begin_groups(4) == [1, 3, 4, 6]
    assert not books.awaits(report(2)) and books.awaits(report(4))


def verdict(books, row, value):
    """What the only reward of the books has said of an answer."""
    (part,) = books.rewards.parts
    status, cause = (Status.JUDGE_FAULT, "no") if value is None else (Status.OK, "")
    return Verdict(row, "row", part.name, part.version, value, status, part.version, cause=cause, policy_version=0)


def test_what_is_judged_is_recalled_for_all_groups_in_one_look_at_the_verdicts(books, monkeypatch):
    reports = [report(group) for group in range(3)]
    books.begin_groups(3)
    for one in reports[:2]:
        books.gathered(one)
    said = [
        [verdict(books, row, None if place else 0.5) for one in reports[:2] for place, row in enumerate(one.row_ids)]
    ]
    books.judged(reports[:2], said)
    books.values["right"].clear()
    looks, join = [], books._verdicts.join
    monkeypatch.setattr(books._verdicts, "join", lambda *asked: (looks.append(asked), join(*asked))[1])
    assert books.recall([reports[2], *reports[:2]]) == (reports[:2], [reports[2]])
    assert books.values["right"] == {f"0/0/{g}/{m}": None if m else 0.5 for g in range(2) for m in range(4)}
    assert len(looks) == 1 and books.recall([]) == ([], [])


def test_a_step_that_was_skipped_is_named_in_events_and_ledger(books):
    books.learnt(Update({"loss": 1.0}))
    books.learnt(Update({"loss": float("nan")}, "loss inf from 0/0/1/2 (advantages not finite)"))
    (event,) = books.directory.lines(books.directory.events)
    assert event["role"] == "learner" and event["what"] == "skipped a step" and "0/0/1/2" in event["cause"]
    assert list(books.accounts()["skipped_steps"].values()) == [1]


def test_the_display_of_a_language_run_speaks_of_tokens_and_answers():
    numbers = {"frames_per_s": 9.0, "episodes": 32.0, "reward/right": 0.5, "learner/staleness_max": 2.0, "updates": 1.0}
    shown = dict(language_rows(numbers, {"rewards": "3 verdicts"}))
    assert shown["tokens/s"] == "9" and shown["reward right"] == "0.5" and shown["pass@1"].startswith("–")
    assert "at most 2 versions old" in shown["weights"] and shown["rewards"] == "3 verdicts"
    assert not any("frames" in label for label in shown)
    assert progress(numbers, 4, None, LANGUAGE.done) == 0.25


def test_commands_for_environments_say_that_a_language_run_is_none(books):
    books.directory.config.write_text("kind: language\n")
    with pytest.raises(UserError, match="trained a language model, and this command is for runs in environments"):
        stored_experiment(books.directory)


def test_minutes_of_a_language_run_count_from_its_first_group_and_not_from_what_it_finds_stored(books):
    now = [0.0]
    books.clock = TrainingClock(lambda: now[0])
    books.experiment = books.experiment.model_copy(update={"minutes": 0.5})
    books.begin_groups(2)
    now[0] = 40.0  # its processes begin
    books.catch_up([report(0)])
    now[0] = 80.0
    assert not books.done
    books.gathered(report(1))
    now[0] = 109.9
    assert not books.done
    now[0] = 110.0
    assert books.done


def test_a_look_that_comes_late_is_due_until_it_is_taken(books):
    books.experiment = books.experiment.model_copy(update={"evaluate_every": 5})

    def due(updates):
        books.status.updates = updates
        return books.evaluation_due

    assert due(0)
    books.status.evaluated_at = 0
    assert not due(4) and due(5) and due(6), "whoever looks was at something else at 5"
    books.status.evaluated_at = 6
    assert not due(6) and not due(9) and due(10)
    books.experiment = books.experiment.model_copy(update={"evaluate_every": 0})
    assert not due(15)
