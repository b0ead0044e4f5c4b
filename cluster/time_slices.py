"""`take_long_turns`: threads of a process that computes keep a processor for longer, once they have it.

Where more threads compute than there are cores, Linux changes between them every few milliseconds, and each begins with
caches that hold what another has read. A thread may ask for longer turns; in exchange it waits longer for the next one,
so that its share of the processor stays what it is, and whoever only wakes for a moment still comes first (EEVDF;
Stoica and Abdel-Wahab 1995). docs/speed.md says what it brings.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

TURN_S = 0.020
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}  # sched_setattr and sched_getattr
_ANY = 0  # SCHED_OTHER, the policy of threads that ask for nothing


class _Attributes(ctypes.Structure):
    """`struct sched_attr` of Linux."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def take_long_turns(seconds: float = TURN_S) -> bool:
    """Ask for turns of this length for all threads of this process, and for those that they will start.

    Gives whether the system has agreed. It has not heard of it before Linux 6.12, elsewhere than on Linux, and in
    containers that refuse the call; then nothing is changed.
    """
    numbers = _CALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or numbers is None:
        return False
    return all([_ask(int(thread), seconds, *numbers) for thread in os.listdir("/proc/self/task")])


def turn_s(thread: int = 0) -> float | None:
    """How long the turns of a thread are, s; None where the system does not say. 0: the calling thread."""
    numbers = _CALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or numbers is None:
        return None
    found = _Attributes()
    if _system(numbers[1], thread, ctypes.byref(found), ctypes.sizeof(found), 0) or not found.runtime:
        return None
    return float(found.runtime) / 1e9


def _ask(thread: int, seconds: float, change: int, read: int) -> bool:
    found = _Attributes()
    if _system(read, thread, ctypes.byref(found), ctypes.sizeof(found), 0) or found.policy != _ANY:
        return False  # it has ended by now, or somebody has given it another policy
    found.size, found.runtime = ctypes.sizeof(found), round(seconds * 1e9)
    found.flags = found.deadline = found.period = 0
    return _system(change, thread, ctypes.byref(found), 0) == 0 and (turn_s(thread) or 0.0) >= seconds


def _system(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), *arguments))
