"""Whole programs behind the wall of the tier `process`."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from rewards.sandbox.programs import run_program
from rewards.sandbox.session import Ended, Ending, Session, sandbox_works
from rewards.sandbox.tiers import Config, Limits

pytestmark = pytest.mark.skipif(not sandbox_works(Config()), reason="no sandbox of tier process on this machine")

SMALL = Limits(wall_s=60.0, memory_mb=128, processes=4, disk_mb=2, output_kb=64)


def run(source, stdin="", **limits):
    return run_program(Config(limits=SMALL.model_copy(update=limits)), source, stdin)


def test_standard_input_goes_in_and_standard_output_comes_out():
    output = run("import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1])", "abc\nüber\n")
    assert output.stdout == "cba\nrebü\n"
    assert output.succeeded
    assert output.ending.tier == "process"


def test_the_exit_status_is_told():
    output = run("print('x', flush=True)\nraise SystemExit(3)")
    assert (output.stdout, output.ending.reason, output.ending.code) == ("x\n", "exit", 3)
    assert not output.succeeded


def test_an_exception_is_told_on_standard_error():
    ending = run("1 / 0").ending
    assert (ending.reason, ending.code) == ("exit", 1)
    assert ending.stderr.endswith("ZeroDivisionError: division by zero")


def test_a_crash_is_a_signal():
    ending = run("import ctypes\nctypes.string_at(0)").ending
    assert (ending.reason, ending.code, ending.detail) == ("signal", -11, "Segmentation fault")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: print('x' * 1000)", "output"),
        ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", "output"),
        ("import os, time\nos.fork()\nos.fork()\nx = b'x' * (60 << 20)\ntime.sleep(60)", "memory"),
        ("import time\ntime.sleep(60)", "deadline"),
    ],
)
def test_past_a_limit_it_is_killed(source, reason):
    assert run(source, wall_s=3.0 if reason == "deadline" else 120.0).ending.reason == reason


def test_there_is_nothing_to_see():
    found = "sorted(os.environ), os.listdir('/tmp'), os.path.exists('/proc'), os.path.exists('/etc/passwd')"
    output = run(f"import os\nprint({found})")
    assert output.stdout == "['LC_CTYPE'] [] False False\n"  # Python itself puts it there


def test_only_three_files_are_open():
    source = """
import os
def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False
print([fd for fd in range(64) if is_open(fd)])
"""
    assert run(source).stdout == "[0, 1, 2]\n"


def test_its_daemons_end_with_it():
    mark = f"mark-{os.getpid()}-{time.time_ns()}"
    source = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(60)', {mark!r}])
    os._exit(0)
print('left')
"""
    assert run(source).stdout == "left\n"
    deadline = time.monotonic() + 250
    while left(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left(mark)


def left(mark):
    return [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def test_when_the_asker_goes_the_sandbox_goes():
    session = Session(Config(limits=Limits(wall_s=60)), ("rewards.sandbox.inside.program",))
    session.wait_for_hello()
    session.send(b"import time\ntime.sleep(60)")
    session.send(b"")
    supervisor = psutil.Process(session._process.pid)
    inside = supervisor.children(recursive=True)
    assert inside
    session._control.close()  # as the kernel does when a process dies
    _, alive = psutil.wait_procs([supervisor, *inside], timeout=120)
    assert not alive
    session._process.wait(120)
    for pipe in (session._input, session._output, session._error):
        pipe.close()


@pytest.mark.slow
def test_no_process_and_no_open_file_is_left_behind():
    run("print(1)")
    others, before = set(psutil.Process().children()), len(os.listdir("/proc/self/fd"))  # those of other tests
    for _ in range(3):
        run("print(1)")
    assert len(os.listdir("/proc/self/fd")) <= before
    assert set(psutil.Process().children()) <= others


def test_a_frame_longer_than_all_output_is_refused():
    with Session(Config(limits=SMALL), ("rewards.sandbox.inside.program",)) as session:
        session.wait_for_hello()
        session.send(b"import os\nos.write(1, bytes([255] * 8))")
        session.send(b"")
        with pytest.raises(Ended, match="announced 4294967295 bytes"):
            session.receive()


@pytest.mark.slow
@pytest.mark.parametrize("unheard", ["", "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"])
def test_what_a_child_had_that_has_ended_counts_too(unheard):
    source = f"""
import os, signal, time
{unheard}
if os.fork() == 0:
    while time.process_time() < 1.0:
        pass
    os._exit(0)
try:
    os.wait()
except ChildProcessError:
    pass
while True:
    print("x" * 1000)
"""
    ending = run(source).ending
    assert ending.reason == "output" and ending.cpu_s > 0.5, "else the code could spend its time unseen"


def test_a_machine_that_is_busy_with_others_is_not_the_codes_fault():
    ending = Ending("process", "deadline", -9, "", 10.0, 1.0, 8.0, 10.0, "")
    assert ending.starved
    assert not Ending("process", "deadline", -9, "", 10.0, 6.0, 8.0, 10.0, "").starved  # it used its time, too
    assert not Ending("process", "deadline", -9, "", 10.0, 0.0, 0.0, 10.0, "").starved  # it slept
    assert not Ending("process", "memory", -9, "", 10.0, 1.0, 8.0, 10.0, "").starved
