"""Copies of a library share what they never change, and go on working."""

from __future__ import annotations

import os
import sys

import pytest

pytest.importorskip("nle")

from nle.nethack.nethack import DLPATH

from envs.shared_code import share_code
from envs.tasks import make_task

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="maps are Linux's")


def mapped(inode):
    with open("/proc/self/maps") as maps:
        return [line.split() for line in maps if int(line.split()[4]) == inode]


def test_games_share_their_code_and_keep_their_variables():
    environments = [make_task("nethack-score").make() for _ in range(3)]
    maps = [env.reset(seed).observation["chars"].copy() for env, seed in zip(environments, (1, 2, 1), strict=True)]
    for env in environments:
        own = mapped(os.fstat(env.inner.nethack._dl.fileno()).st_ino)
        assert own and not any("x" in fields[1] for fields in own), "only what is written is its own"
    code = [fields for fields in mapped(os.stat(DLPATH).st_ino) if "x" in fields[1]]
    assert len(code) >= 3
    assert (maps[0] == maps[2]).all() and (maps[0] != maps[1]).any()
    for env in environments:
        env.close()


def test_a_copy_that_is_not_one_shares_nothing(tmp_path):
    other = tmp_path / "other.so"
    other.write_bytes(bytes(os.path.getsize(DLPATH)))
    env = make_task("nethack-score").make()
    env.reset(0)
    own = [fields[0] for fields in mapped(os.fstat(env.inner.nethack._dl.fileno()).st_ino)]
    assert share_code(env.inner.nethack._dl.fileno(), str(other)) == 0
    assert own == [fields[0] for fields in mapped(os.fstat(env.inner.nethack._dl.fileno()).st_ino)]
    env.close()
