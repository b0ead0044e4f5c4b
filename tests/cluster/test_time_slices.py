"""Long turns, as far as the system here grants them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading

import pytest

from cluster import time_slices
from cluster.time_slices import TURN_S, take_long_turns, turn_s

ASKING = """
import os, threading
from cluster.time_slices import take_long_turns, turn_s
before, nice = turn_s(), os.nice(0)
agreed = take_long_turns()
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
        assert float(after) == float(of_a_thread) == TURN_S > float(before)
    else:
        assert after == of_a_thread == before


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
    if os.path.isdir(f"/proc/self/task/{number}"):
        pytest.skip("the system has given its number to another thread")
    assert turn_s(number) is None
