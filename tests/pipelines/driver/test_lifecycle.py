"""How a run ends before its end: a disk that fails, a person who asks, a node that goes."""

from __future__ import annotations

import errno
import signal
from threading import Event
from types import SimpleNamespace

import pytest

from cluster.events import RoleFailing
from envs.storage.errors import StoreCorrupt
from pipelines.driver.lifecycle import DRAIN, graceful_stop, raise_for_people, tell_stop, told_of_disk
from pipelines.errors import Unfinished, UserError
from pipelines.run_directory import RunDirectory


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space is left below"),
        (errno.EDQUOT, "no space is left below"),
        (errno.ESTALE, "the server behind it, fails"),
        (errno.EROFS, "the server behind it, fails"),
        (errno.EIO, "/x/rows"),
    ],
)
def test_a_disk_that_fails_is_told_with_how_to_go_on(number, said, tmp_path):
    told = str(told_of_disk(OSError(number, "told", "/x/rows"), RunDirectory(tmp_path)))
    assert said in told and f"go on with resume={tmp_path}" in told


def test_what_is_no_disk_is_left_as_it_is(tmp_path):
    assert told_of_disk(FileNotFoundError(errno.ENOENT, "no such file", "x"), RunDirectory(tmp_path)) is None
    assert told_of_disk(OSError("a library's own"), RunDirectory(tmp_path)) is None


def test_who_is_stopped_by_a_person_is_told_and_who_loses_its_node_is_to_be_started_again(tmp_path):
    said, directory = [], RunDirectory(tmp_path)
    tell_stop(SimpleNamespace(stopping=None), "3 frames", directory, said.append)
    assert said == []
    tell_stop(SimpleNamespace(stopping="SIGTERM"), "3 frames", directory, said.append)
    assert said == [f"stopped by SIGTERM; saved at 3 frames: go on with resume={tmp_path}"]
    with pytest.raises(
        Unfinished, match=f"drain of the driver's node; saved at 3 frames: go on with resume={tmp_path}"
    ):
        tell_stop(SimpleNamespace(stopping=DRAIN), "3 frames", directory, said.append)
    assert len(said) == 1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_is_answered_ctrl_c_is_obeyed_then_and_after_that_all_is_as_before(first):
    before, said, told = signal.getsignal(signal.SIGINT), [], Event()

    def say(text):
        said.append(text)
        told.set()

    run = SimpleNamespace(stopping=None, display=SimpleNamespace(say=say))
    with graceful_stop(run):
        signal.raise_signal(first)
        assert run.stopping == first.name
        assert told.wait(60) and said == [f"{first.name}: the run saves and stops; Ctrl-C now, and it stops at once"]
        signal.raise_signal(signal.SIGTERM)
        assert run.stopping == first.name and len(said) == 1, "a supervisor and those above it may each send one"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"no space is left below .*; make room and go on with"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/runs/a/metrics.jsonl"),
            r"/runs/a/metrics\.jsonl cannot be read or written: Permission denied; mend that and go on with resume=",
        ),
        (StoreCorrupt("000001.arrows: a bit flipped"), "a bit flipped; `guerdon replay verify"),
        (RoleFailing("learner died 6 times in a row"), "learner died 6 times in a row"),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(error, told, tmp_path):
    with pytest.raises(UserError, match=told) as caught:
        raise_for_people(error, RunDirectory(tmp_path))
    assert "\n" not in str(caught.value) and caught.value.__cause__ is error


def test_a_fault_of_the_program_is_left_as_it_is(tmp_path):
    for error in (ZeroDivisionError("division by zero"), OSError(errno.EBADF, "Bad file descriptor")):
        raise_for_people(error, RunDirectory(tmp_path))
