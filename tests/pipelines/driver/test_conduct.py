"""A run from its books to its report: also where its work fails, and on from what it saved."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from typing import get_type_hints

import pytest

from pipelines.driver.conduct import conduct
from pipelines.driver.lifecycle import write_config
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.run import LanguageRun
from pipelines.run_directory import RunDirectory


class Quiet:
    closed = False

    def show(self, numbers, lines):
        self.shown = numbers

    def say(self, text):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def begun(small, tmp_path):
    """Books in a directory that is locked, as `train` makes them: `begun()`, or `begun(resume=True)`."""

    def make(resume: bool = False) -> Run:
        if resume:
            directory = RunDirectory.existing("run", tmp_path)
            directory.lock()
        else:
            directory = RunDirectory.create(tmp_path, "catch", "run")
        return Run(small(), directory, Quiet(), "rules")

    return make


@pytest.fixture
def conducted(tmp_path):
    def go(run, work, resumed=False):
        said: list[str] = []
        conduct(run, partial(work, run), tmp_path, resumed, "INFO", said.append)
        return said

    return go


def learn(run, restored, frames=60):
    run.status.learnt({"frames": float(frames)}, 1.0)
    run.save({}, [0])


def fail(run, restored):
    learn(run, restored)
    raise OSError(28, "No space left on device")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_leaves_its_ledger_its_numbers_and_its_report_and_its_directory_to_others(begun, conducted):
    run = begun()
    assert conducted(run, learn) == []
    directory = run.directory
    assert lines_of(directory.metrics)[-1]["learnt_frames"] == 60 == run.at
    assert lines_of(directory.metrics)[-1]["progress"] == 60 / run.target
    assert json.loads(directory.ledger.read_text())["balanced"] and directory.report.is_file() and run.display.closed
    directory.lock()
    directory.unlock()


def test_what_a_failed_run_did_is_written_and_its_error_is_told_to_people(begun, conducted):
    run = begun()
    with pytest.raises(UserError, match=r"no space is left below .* go on with resume="):
        conducted(run, fail)
    assert lines_of(run.directory.metrics)[-1]["learnt_frames"] == 60 and run.directory.report.is_file()
    run.directory.lock()
    run.directory.unlock()


def test_a_run_goes_on_from_what_it_saved_and_says_so(begun, conducted):
    conducted(begun(), learn)
    run = begun(resume=True)
    assert conducted(run, partial(learn, frames=30), resumed=True) == []
    assert run.at == 90 and run.status.updates == 2
    assert ("resumed", "at 60 frames") in [(line["what"], line["cause"]) for line in lines_of(run.directory.events)]


def test_a_run_that_had_ended_is_told_how_it_is_let_go_on(begun, conducted):
    conducted(begun(), partial(learn, frames=240))
    (said,) = conducted(begun(resume=True), lambda run, restored: None, resumed=True)
    assert said == "it had come to its end; frames= or minutes= above what it has let it go on"


def test_where_there_is_nothing_to_go_on_from_nothing_is_written(begun, conducted, small, tmp_path):
    empty = RunDirectory.create(tmp_path, "catch", "run")
    write_config(small(), empty)
    empty.unlock()
    run = begun(resume=True)
    before = sorted(path.name for path in run.directory.root.iterdir())
    with pytest.raises(UserError):
        conducted(run, learn, resumed=True)
    assert sorted(path.name for path in run.directory.root.iterdir()) == before and run.display.closed
    run.directory.lock()
    run.directory.unlock()


def test_what_a_person_stopped_is_no_failure_and_says_how_to_go_on(begun, conducted):
    run = begun()

    def stopped(run, restored):
        learn(run, restored)
        run.stopping = "SIGTERM"

    (said,) = conducted(run, stopped)
    assert said == f"stopped by SIGTERM; saved at 60 frames: go on with resume={run.directory.root}"
    assert lines_of(run.directory.events)[-1]["what"] == "stopped"


@pytest.mark.parametrize(("books", "settings"), [(Run, Experiment), (LanguageRun, LanguageExperiment)])
def test_what_a_run_is_counted_in_is_a_setting_and_a_counter(books, settings):
    assert books.subject.unit in settings.model_fields
    status = get_type_hints(books)["status"]
    assert books.subject.done in {field.name for field in fields(status)}
