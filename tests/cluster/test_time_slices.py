"""Long turns, as far as the system here grants them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from cluster import time_slices
from cluster.time_slices import TURN_S, take_long_turns, turn_s

ASKING = """
import os, threading
from cluster.time_slices import take_long_turns, turn_s
before, nice = turn_s(), os.nice(0)
agreed = take_long_turns(0.03)  # longer than whoever started this may have handed down
later = []
thread = threading.Thread(target=lambda: later.append(turn_s()))
thread.start()
thread.join()
print(agreed, before, turn_s(), later[0], os.nice(0) - nice)
"""


def test_a_process_and_its_threads_take_long_turns_where_the_system_agrees_and_else_nothing_changes():
    said = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, text=True, check=True).stdout.split()
    agreed, before, after, of_a_thread, nicer = said
    assert nicer == "0"
    if agreed == "True":
        assert float(after) == float(of_a_thread) == 0.03 > float(before)
    else:
        assert after == of_a_thread == before


ROLE = """
import sys
from cluster.hosts import Host
from cluster.serving import Replica
from cluster.time_slices import take_long_turns, turn_s
class Judge:
    async def answer(self): ...
print(Host(object) and turn_s() if sys.argv[1] == "host" else Replica(Judge, "answer", 1.0) and turn_s())
print(take_long_turns())
"""


@pytest.mark.slow
@pytest.mark.parametrize("role", ["host", "replica"])
def test_the_processes_of_a_run_ask(role):
    said = subprocess.run([sys.executable, "-c", ROLE, role], capture_output=True, text=True, check=True).stdout.split()
    took, agrees = said
    assert agrees == "False" or float(took) == TURN_S


def test_elsewhere_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert take_long_turns() is False and turn_s() is None


def test_what_the_system_refuses_is_no_error(monkeypatch):
    monkeypatch.setattr(time_slices, "_system", lambda *_: -1)
    assert take_long_turns() is False and turn_s() is None


def test_a_thread_that_has_ended_is_no_error():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    number = thread.native_id
    thread.join()
    deadline = time.monotonic() + 10.0
    while os.path.isdir(f"/proc/self/task/{number}") and time.monotonic() < deadline:
        time.sleep(0.001)  # it has been joined, and is about to go
    assert turn_s(number) is None
