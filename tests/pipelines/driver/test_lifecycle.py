"""How a run ends before its end: a disk that fails, a person who asks, a node that goes."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from pipelines.driver.lifecycle import DRAIN, tell_stop, told_of_disk
from pipelines.errors import Unfinished
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
