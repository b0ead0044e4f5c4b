"""The supervisor: starts one process inside a sandbox, watches it, ends it with all that it started, and reports.

It runs as a process of its own between the one that asked and the code under test, with the standard library only:

    python -I -S -c "…; from rewards.sandbox.jail import main; main()" CONTROL

CONTROL is a socket. In comes one line of JSON (`Order`); when the socket closes, whoever asked is gone, and everything
is killed. Out goes one line of JSON when all is over (`Report`). The code under test inherits its standard input,
output and error, and nothing else. It is either the first process of its own namespace of processes or the descendant
of one, so that killing the child kills every daemon, whatever session or group it has made for itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Literal, TypedDict

POLL_S = 0.02
"""Between two looks at memory and number of processes."""

LINE_BYTES = 1 << 20
SECCOMP_FILE = 3
"""Descriptor from which bubblewrap reads the filter; the order says the same."""


class Order(TypedDict):
    """What is to be run, and what it may use."""

    tier: str
    argv: list[str]
    visible: list[str]
    overhead: int
    user: int
    wall_s: float
    memory_bytes: int
    processes: int
    disk_bytes: int
    disk_files: int


class Report(TypedDict):
    """How it ended: by itself, or killed for time, memory, number of processes, or because nobody asks any more.

    `cpu_s` is what all its processes had, `waited_s` what they had to wait for it, where it was killed.
    """

    reason: Literal["exit", "signal", "deadline", "memory", "processes", "released", "setup"]
    code: int
    detail: str
    cpu_s: float
    waited_s: float
    peak_bytes: int


def main() -> None:
    """Carry out the order that comes over the control socket."""
    control = int(sys.argv[1])
    adopt_orphans = 36
    ctypes.CDLL(None).prctl(adopt_orphans, 1, 0, 0, 0)
    order = _read_order(control)
    report = supervise(order, control)
    os.write(control, json.dumps(report).encode() + b"\n")


def supervise(order: Order, control: int) -> Report:
    """Run the order to its end, or to its limits."""
    was_root = os.geteuid() == 0
    try:
        if order["tier"] == "process":
            from rewards.sandbox.namespaces import leave_processes

            was_root = leave_processes()
        child = os.fork()
    except OSError as error:
        return {
            "reason": "setup",
            "code": error.errno or 1,
            "detail": str(error),
            "cpu_s": 0.0,
            "waited_s": 0.0,
            "peak_bytes": 0,
        }
    if child == 0:
        _become(order, was_root)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # the child's alone: whoever reads must see its end
        os.dup2(nothing, descriptor)
    return _watch(order, control, child)


def _become(order: Order, was_root: bool) -> None:
    """Turn the forked child into the code under test; never returns."""
    try:
        from rewards.sandbox import namespaces, seccomp  # now: later there is nothing of ours to be seen

        argv = order["argv"]
        if order["tier"] == "process":
            namespaces.leave_the_rest(order["visible"], order["disk_bytes"], order["disk_files"], order["user"])
            namespaces.give_up_privileges(order["user"], was_root)
        elif order["tier"] == "bubblewrap":
            _offer_filter(seccomp.filter_program())
        if order["tier"] == "bubblewrap" and was_root:
            # Root's processes are not counted: a fork bomb would not end. So it is not root that runs them.
            os.setgroups([])
            os.setresgid(order["user"], order["user"], order["user"])
            os.setresuid(order["user"], order["user"], order["user"])
        os.setsid()
        # Giving up privileges undoes this, so it comes after that; the filter, which is last, lets nobody undo it.
        die_with_parent = 1
        ctypes.CDLL(None).prctl(die_with_parent, signal.SIGKILL, 0, 0, 0)
        if order["tier"] == "process":
            seccomp.install()
        os.closerange(SECCOMP_FILE + (order["tier"] == "bubblewrap"), 1 << 16)
        os.execve(argv[0], argv, {})
    except BaseException as error:
        os.write(2, f"sandbox: {error}".encode(errors="replace"))
    os._exit(127)


def _watch(order: Order, control: int, child: int) -> Report:
    deadline = time.monotonic() + order["wall_s"]
    handle = os.pidfd_open(child)
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    poller.register(control, select.POLLIN)
    reason: Literal["deadline", "memory", "processes", "released"] | None = None
    peak, waited = 0, 0.0
    had: dict[str, float] = {}
    while reason is None:
        ready = {descriptor for descriptor, _ in poller.poll(POLL_S * 1000)}
        if handle in ready:
            break
        used, count = _usage(child)
        peak = max(peak, used)
        waited = _processor(child, had)
        if control in ready:
            reason = "released"
        elif time.monotonic() > deadline:
            reason = "deadline"
        elif used > order["memory_bytes"]:
            reason = "memory"
        elif count > order["processes"] + order["overhead"]:
            reason = "processes"
    if reason:
        os.kill(child, signal.SIGKILL)
    _, status, used_up = os.wait4(child, 0)
    _end_orphans()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)  # of all whom somebody waited for, whenever they ended
    code = os.waitstatus_to_exitcode(status)
    return {
        "reason": reason or ("exit" if code >= 0 else "signal"),
        "code": code,
        "detail": "" if code >= 0 else (signal.strsignal(-code) or f"signal {-code}"),
        "cpu_s": max(sum(had.values()), ended.ru_utime + ended.ru_stime),
        "waited_s": waited if reason else 0.0,
        "peak_bytes": max(peak, used_up.ru_maxrss * 1024),
    }


def _usage(child: int) -> tuple[int, int]:
    """Resident bytes and number of processes of a child with all its descendants."""
    used = count = 0
    for process in _family(child):
        try:
            with open(f"/proc/{process}/statm", "rb") as file:
                used += int(file.read().split()[1]) * resource.getpagesize()
        except OSError:  # it has ended since
            continue
        count += 1
    return used, count


def _processor(child: int, had: dict[str, float]) -> float:
    """Seconds that a child with all its descendants was ready and waiting for a processor.

    `had` is told what each task had of one: a task may end, and where nobody needs to wait for it, unheard.
    """
    waited = 0.0
    for process in _family(child):
        try:
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/schedstat", "rb") as file:
                    on, off, _ = map(int, file.read().split())
                had[task], waited = max(had.get(task, 0.0), on / 1e9), waited + off / 1e9
        except (OSError, ValueError):  # it has ended since, or the kernel does not count
            continue
    return waited


def _family(process: int) -> list[int]:
    """A process and all that descends from it."""
    found, waiting = [], [process]
    while waiting:
        found.append(waiting.pop())
        waiting += _children(found[-1])
    return found


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # it has ended since
        pass
    return found


def _end_orphans() -> None:
    """End all that is left: whatever lost its parent became a child of ours, and only we can free its number."""
    while True:
        for process in _children(os.getpid()):
            os.kill(process, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _offer_filter(program: bytes) -> None:
    """Offer the filter as the open file from which bubblewrap reads it."""
    reading, writing = os.pipe()
    os.write(writing, program)
    os.close(writing)
    if reading == SECCOMP_FILE:
        os.set_inheritable(reading, True)
    else:
        os.dup2(reading, SECCOMP_FILE)


def _read_order(control: int) -> Order:
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES:
        part = os.read(control, 65536)
        if not part:
            sys.exit(0)  # whoever asked is gone
        line += part
    order: Order = json.loads(line)
    return order
