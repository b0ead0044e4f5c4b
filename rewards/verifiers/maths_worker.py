"""The process in which mathematical answers are compared: it forks for each, so that what hangs can be killed.

Started by `rewards.verifiers.maths` with a socket as its only argument. It loads the
algebra once; a fork costs milliseconds, and dies with whatever a hostile answer has made of its memory. One JSON line
comes in for each question, one goes out for each answer, in any order.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import resource
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

GOLD_UNDERSTOOD = b"g"
"""Said by a fork once it has read the reference: what happens afterwards is about the policy's answer."""

POWER_OF_TEN = re.compile(r"(?<![\w.\\])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?\d{1,3})(?![\w.]*\w)")
"""A number as programs write it, such as 6.02e23; understood in boxes and formulas."""


@dataclass
class Fork:
    """A comparison under way."""

    number: int
    process: int
    deadline: float
    said: bytes = b""
    killed: bool = False


class Server:
    """Takes questions, forks, watches deadlines, and sends answers."""

    def __init__(self, control: socket.socket) -> None:
        """Serve over a socket until it closes."""
        self._control, self._buffer = control, b""
        self._waiting: list[dict[str, Any]] = []
        self._forks: dict[int, Fork] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._most = os.cpu_count() or 1

    def serve(self) -> None:
        """Run until the asker is gone, then end every fork."""
        try:
            while self._step():
                pass
        finally:
            for fork in self._forks.values():
                _kill(fork.process)

    def _step(self) -> bool:
        soonest = min((fork.deadline for fork in self._forks.values()), default=time.monotonic() + 3600)
        for key, _ in self._selector.select(max(0.0, soonest - time.monotonic())):
            if key.fileobj is self._control:
                part = self._control.recv(1 << 16)
                if not part:
                    return False
                *lines, self._buffer = (self._buffer + part).split(b"\n")
                self._waiting += map(json.loads, lines)
            else:
                self._listen(key.fd)
        for fork in self._forks.values():
            if time.monotonic() >= fork.deadline and not fork.killed:
                fork.killed = True
                fork.deadline += 3600
                _kill(fork.process)
        while self._waiting and len(self._forks) < self._most:
            self._begin(self._waiting.pop(0))
        return True

    def _begin(self, question: dict[str, Any]) -> None:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _compare(question, writing)
        os.close(writing)
        self._forks[reading] = Fork(question["number"], process, time.monotonic() + question["wall_s"])
        self._selector.register(reading, selectors.EVENT_READ)

    def _listen(self, descriptor: int) -> None:
        part = os.read(descriptor, 1 << 16)
        fork = self._forks[descriptor]
        fork.said += part
        if part:
            return
        self._selector.unregister(descriptor)
        os.close(descriptor)
        del self._forks[descriptor]
        _kill(fork.process)
        _, _, used = os.wait4(fork.process, 0)
        answer = {
            "number": fork.number,
            "understood": fork.said.startswith(GOLD_UNDERSTOOD),
            "said": fork.said.removeprefix(GOLD_UNDERSTOOD).decode(),
            "late": fork.killed,
            "cpu_s": used.ru_utime + used.ru_stime,
        }
        self._control.sendall(json.dumps(answer).encode() + b"\n")


def _compare(question: dict[str, Any], output: int) -> None:
    """In the fork: compare, say the result as JSON, and be gone."""
    try:
        memory = question["memory_mb"] << 20
        for what, most in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CPU, question["cpu_s"]),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            try:
                resource.setrlimit(what, (most, most))
            except (ValueError, OSError):
                continue  # macOS knows no limit of address space; the deadline holds there too
        from math_verify import parse, verify

        # A reference is all answer: without marks, only the last number of it would be read.
        answer = question["answer"]
        marked = answer if "$" in answer or "\\boxed" in answer else f"${answer}$"
        reference = parse(marked, fallback_mode="no_fallback", parsing_timeout=None)
        if not reference:
            os.write(output, b'"no reference"')
            os._exit(0)
        os.write(output, GOLD_UNDERSTOOD)
        found = parse(question["completion"], fallback_mode="no_fallback", parsing_timeout=None)
        if not found:
            os.write(output, b'"no answer"')
            os._exit(0)
        # In this order: the relation is not symmetric, and a solved equation is not the same as its statement.
        same = verify(reference, found, timeout_seconds=None)
        texts = [marked, question["completion"]]
        written_out = [POWER_OF_TEN.sub(r"\1\\times 10^{\2}", text) for text in texts]
        if not same and written_out != texts:  # 2e-8 was read as 2 · e − 8, and may be what it seems
            reference, found = (parse(text, fallback_mode="no_fallback", parsing_timeout=None) for text in written_out)
            same = verify(reference, found, timeout_seconds=None)
        os.write(output, json.dumps(bool(same)).encode())
    except BaseException as error:
        os.write(output, json.dumps(f"error: {type(error).__name__}").encode())
    finally:
        os._exit(0)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def main() -> None:
    """Serve over the socket whose number is the first argument."""
    import math_verify

    math_verify.verify(math_verify.parse("$1$"), math_verify.parse("$\\frac{2}{2}$"))  # so that forks find all loaded
    gc.collect()
    gc.freeze()  # or the collector would touch, and so copy, every page in every fork
    control = socket.socket(fileno=int(sys.argv[1]))
    control.sendall(b"{}\n")
    Server(control).serve()


if __name__ == "__main__":
    main()
