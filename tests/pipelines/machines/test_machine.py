from __future__ import annotations

import os

import psutil

from pipelines.machines.machine import Machine, cores, memory_bytes


def test_this_machine_is_described_without_its_name():
    here = Machine.here()
    assert here.cores >= 1 and here.memory_gib > 0 and here.cpu
    assert os.uname().nodename not in here.cpu


def test_a_container_may_use_fewer_cores_and_less_memory_than_the_machine_has(tmp_path):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    assert cores(tmp_path) == 1
    assert memory_bytes(tmp_path) == 1048576


def test_half_a_core_counts_as_one(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cores(tmp_path) == 1


def test_without_limits_the_machine_counts(tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cores(tmp_path) == cores(tmp_path / "nowhere") >= 1
    assert memory_bytes(tmp_path) == psutil.virtual_memory().total
