"""`Session`: one process inside a sandbox, seen from outside, spoken to in frames.

Every wait has the same deadline, the sandbox's own. What comes from inside is bytes that are counted and never
interpreted here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Literal

from rewards.sandbox import jail
from rewards.sandbox.tiers import Config, Tier, TierAbsent, order, resource_limits

HOUSE = Path(__file__).resolve().parents[2]
SUPERVISOR = "import sys; sys.path.insert(0, sys.argv[2]); from rewards.sandbox.jail import main; main()"
REPORT_GRACE_S = 5.0
STDERR_KEPT = 4096

Reason = Literal["exit", "signal", "deadline", "memory", "processes", "output", "protocol", "released"]


@dataclass(frozen=True)
class Ending:
    """How a sandbox ended.

    Attributes:
        tier: the wall it stood behind.
        reason: "exit" or "signal": by itself; "deadline", "memory", "processes", "output": over that limit, and
            killed; "protocol": said what it was not asked; "released": we had no more questions.
        code: exit status; negative for a signal.
        detail: for people.
        wall_s: from start to end.
        cpu_s: that it had.
        waited_s: that it was ready and had to wait for a processor, where it was killed.
        peak_mb: resident memory.
        stderr: the last it said on standard error.
    """

    tier: Tier
    reason: Reason
    code: int
    detail: str
    wall_s: float
    cpu_s: float
    waited_s: float
    peak_mb: float
    stderr: str

    @property
    def starved(self) -> bool:
        """Whether it ran out of time because the machine was busy with others: no fault of what ran inside."""
        return self.reason == "deadline" and self.waited_s > self.wall_s / 2 > self.cpu_s


class Ended(Exception):
    """The process inside is no more, or has to be stopped; `session.close(self)` does that and says how it ended."""

    def __init__(self, session: Session, reason: Reason | None = None, detail: str = "") -> None:
        """Say why, where that is known before the supervisor reports."""
        super().__init__(detail or reason or "ended")
        self.session, self.reason, self.detail = session, reason, detail


class Session:
    """A process inside, from its start to its `Ending`. Use it as a context manager: nothing survives it."""

    def __init__(self, config: Config, modules: tuple[str, ...]) -> None:
        """Start it.

        Args:
            config: tier and limits.
            modules: names of our own modules that are loaded inside, in this order; `main` of the last one runs.

        Raises:
            TierAbsent: the tier cannot be had.
        """
        self.config, self._modules = config, modules
        self._start = time.monotonic()
        self._deadline = self._start + config.limits.start_s
        self._budget = config.limits.output_kb << 10
        self._arrived, self._errors, self._open = bytearray(), bytearray(), True
        self._selector = selectors.DefaultSelector()
        self.ending: Ending | None = None
        told = order(config, boot_text(config))
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SUPERVISOR, str(theirs.fileno()), str(HOUSE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env={},
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._input, self._output, self._error = self._process.stdin, self._process.stdout, self._process.stderr
        for pipe in (self._input, self._output, self._error):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._output, selectors.EVENT_READ, self._arrived)
        self._selector.register(self._error, selectors.EVENT_READ, self._errors)
        with contextlib.suppress(OSError):  # a supervisor that is gone already will not say hello either
            self._control.sendall(json.dumps(told).encode() + b"\n")

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_for_hello(self) -> None:
        """Wait until the sandbox stands; nothing untrusted may be sent before. The clock of `wall_s` starts here.

        Raises:
            TierAbsent: it does not stand.
        """
        try:
            hello = self.receive()
            self._deadline = time.monotonic() + self.config.limits.wall_s
            self._write(module_frames(self._modules))
        except Ended as ended:
            hello = b""
            self.close(ended)
        if hello != b"hello":
            ending = self.close()
            raise TierAbsent(
                f"the sandbox tier {self.config.tier} did not start: "
                f"{ending.stderr or ending.detail or ending.reason}; docs/sandbox.md says what it needs; "
                "or choose another tier"
            )

    def send(self, content: bytes) -> None:
        """Send a frame.

        Raises:
            Ended: there is nobody to take it, or no time left.
        """
        self._write(len(content).to_bytes(4, "big") + content)

    def receive(self) -> bytes:
        """The next frame.

        Raises:
            Ended: it ended, ran out of time or output, or said something longer than all it may say.
        """
        length = int.from_bytes(self._read(4), "big")
        if length > self.config.limits.output_kb << 10:
            raise Ended(self, "output", f"announced {length} bytes, more than output_kb={self.config.limits.output_kb}")
        return self._read(length)

    def rest(self) -> bytes:
        """All that it writes until it ends.

        Raises:
            Ended: it ran out of time or output.
        """
        while self._open:
            self._pump(b"")
        return bytes(self._arrived)

    def close(self, ended: Ended | None = None) -> Ending:
        """End it, if it has not ended, with all that it has started.

        Args:
            ended: why we end it, where that is known here and not to the supervisor.
        """
        if self.ending:
            return self.ending
        report = self._report()
        self._selector.close()
        for pipe in (self._input, self._output, self._error, self._control):
            with contextlib.suppress(OSError):  # it had not taken all that we sent
                pipe.close()
        known = ended or Ended(self)
        self.ending = Ending(
            self.config.tier,
            known.reason or report["reason"],  # type: ignore[arg-type]
            report["code"],
            known.detail or report["detail"],
            time.monotonic() - self._start,
            report["cpu_s"],
            report["waited_s"],
            report["peak_bytes"] / (1 << 20),
            self._errors[-STDERR_KEPT:].decode(errors="replace").strip(),
        )
        return self.ending

    def _read(self, count: int) -> bytes:
        while len(self._arrived) < count:
            if not self._open:
                raise Ended(self)
            self._pump(b"")
        found = bytes(self._arrived[:count])
        del self._arrived[:count]
        return found

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            if not self._open:
                raise Ended(self)
            left = left[self._pump(left) :]

    def _pump(self, content: bytes | memoryview) -> int:
        """Move bytes either way, once; returns how many of `content` were taken."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise Ended(self, "deadline", f"ran past wall_s={self.config.limits.wall_s:g}")
        if content:
            self._selector.register(self._input, selectors.EVENT_WRITE)
        ready = self._selector.select(left_s)
        if content:
            self._selector.unregister(self._input)
        taken = 0
        for key, _ in ready:
            if key.fileobj is self._input:
                taken = self._offer(content)
                continue
            part = os.read(key.fd, 1 << 16)
            key.data.extend(part)
            self._budget -= len(part)
            if not part:
                self._selector.unregister(key.fileobj)
                self._open = self._open and key.fileobj is not self._output
        if self._budget < 0:
            raise Ended(self, "output", f"wrote more than output_kb={self.config.limits.output_kb}")
        return taken

    def _offer(self, content: bytes | memoryview) -> int:
        try:
            return os.write(self._input.fileno(), content)
        except BrokenPipeError:
            self._open = False
            return 0

    def _report(self) -> jail.Report:
        """What the supervisor says at the end. What may still run is ended; what is on its way out is left to go."""
        waits = (1.0, REPORT_GRACE_S) if not self._open else (0.0, REPORT_GRACE_S)
        line = b""
        for wait_s in waits:
            line = self._line(wait_s)
            if line:
                break
            self._control.shutdown(socket.SHUT_WR)
        self._process.kill()
        self._process.wait(REPORT_GRACE_S)
        if not line:
            nothing = {"cpu_s": 0.0, "waited_s": 0.0, "peak_bytes": 0}
            return {"reason": "setup", "code": 1, "detail": "the supervisor died", **nothing}  # type: ignore[typeddict-item]
        report: jail.Report = json.loads(line)
        return report

    def _line(self, wait_s: float) -> bytes:
        """One line of the supervisor; empty where it says nothing in time, or is gone."""
        self._control.settimeout(wait_s or 0.001)
        line = b""
        try:
            while not line.endswith(b"\n"):
                part = self._control.recv(1 << 16)
                if not part:
                    return b""
                line += part
        except (TimeoutError, ConnectionError):
            return b""
        return line


def boot_text(config: Config) -> str:
    """Python that a process inside begins with."""
    return f"{_source('rewards.sandbox.inside.boot')}\nboot({resource_limits(config.limits)})"


def module_frames(modules: tuple[str, ...]) -> bytes:
    """How many modules, and name and source of each, as `boot` reads them."""
    texts = [text.encode() for name in modules for text in (name, _source(name))]
    return bytes([len(modules)]) + b"".join(len(text).to_bytes(4, "big") + text for text in texts)


@lru_cache
def _source(module: str) -> str:
    return HOUSE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def sandbox_works(config: Config) -> bool:
    """Whether a sandbox of this config can be had here, found out by having one."""
    try:
        with Session(config, ("rewards.sandbox.inside.program",)) as session:
            session.wait_for_hello()
    except TierAbsent:
        return False
    return True
