"""What a person can mend of a disk is told with how to go on; the rest is left as it is."""

from __future__ import annotations

import errno

import pytest

from pipelines.driver.lifecycle import told_of_disk
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
