r"""Mathematical equivalence: is `\frac{1}{2}` the answer 0.5?

Answers are read and compared by math-verify (Kydlíček, Gandenberger and others, 2025) on top of SymPy, in forks of a
process of its own (`maths_worker`): both can be made to run for ever or to eat all memory by a few characters, such as
9^{9^{9^9}}, and neither can be interrupted from inside. A fork that is late is killed; nothing of it remains.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rewards.functions import PolicyFault, reward

HOUSE = Path(__file__).resolve().parents[2]
LONGEST = 20_000
"""Characters of a completion, from its end, that are searched for an answer: answers come last."""

PATIENCE_S = 90.0
"""How long a question may wait for the algebra to load and for its turn."""


class Limits(BaseModel):
    """What one comparison may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_s: int = Field(5, ge=1)
    """Processor time; more than this is the policy's fault."""
    wall_s: float = Field(60.0, gt=0)
    """Time in which the machine must find that much; otherwise it is the machine's fault."""
    memory_mb: int = Field(1024, ge=256)
    """Address space, the algebra itself included."""


class Comparer:
    """A running `maths_worker`; thread-safe. It ends with this process, or by `close`."""

    def __init__(self) -> None:
        """Start it; the first answer waits until the algebra is loaded, a second or two."""
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rewards.verifiers.maths_worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={"PYTHONPATH": str(HOUSE)},
            start_new_session=True,
        )
        theirs.close()
        self._numbers = itertools.count()
        self._open: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._gone = False
        threading.Thread(target=self._listen, name="maths-answers", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._gone

    def ask(self, completion: str, answer: str, limits: Limits) -> Future[dict[str, Any]]:
        """Begin a comparison.

        Raises:
            ConnectionError: the process is gone.
        """
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._gone:
                raise ConnectionError(
                    "the process that compares mathematics is gone; ask again, and it is started anew"
                )
            number = next(self._numbers)
            self._open[number] = future
            question = {"number": number, "completion": completion, "answer": answer, **limits.model_dump()}
            self._control.sendall(json.dumps(question).encode() + b"\n")
        return future

    def close(self) -> None:
        """End it, and fail what is under way."""
        self._process.kill()
        self._process.wait()
        self._control.close()

    def _listen(self) -> None:
        try:
            with self._control.makefile("rb") as lines:
                for line in lines:
                    reply = json.loads(line)
                    if reply:
                        with self._lock:
                            future = self._open.pop(reply["number"])
                        if future.set_running_or_notify_cancel():  # false where nobody waits any more
                            future.set_result(reply)
        except (OSError, ValueError):
            pass  # closed by us, or cut off in the middle of a line: the same as its end
        with self._lock:
            self._gone, left = True, list(self._open.values())
            self._open.clear()
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(ConnectionError("the process that compares mathematics is gone"))


_starting = threading.Lock()
_running: deque[Comparer] = deque(maxlen=1)
"""No list: that would be a constant to the hash of the reward, and another one once the first question was asked."""


def comparer() -> Comparer:
    """This process's comparer, started when it is needed, and again when it has died."""
    with _starting:
        if not _running or not _running[-1].alive:
            _running.append(Comparer())
            atexit.register(_running[-1].close)
        return _running[-1]


def outcome(reply: dict[str, Any], limits: Limits) -> float:
    """What a reply of the worker says.

    Returns:
        1 if the two are equivalent, else 0.

    Raises:
        PolicyFault: the completion has no answer that can be read, or one that cannot be compared within the limits.
        ValueError: the reference cannot be read; the data is wrong.
        TimeoutError: there was too little of the machine to compare them in time.
    """
    said = json.loads(reply["said"] or "null")
    if isinstance(said, bool):
        return float(said)
    starved = reply["late"] and reply["cpu_s"] < limits.cpu_s / 2
    if not reply["understood"] and not starved:
        raise ValueError(
            f"the reference cannot be read as mathematics ({said or 'it took too long'}); correct the data"
        )
    if said == "no answer":
        raise PolicyFault("no mathematical answer was found; expected one in \\boxed{} or at the end")
    if reply["late"]:
        raise TimeoutError(
            f"compared for {limits.wall_s:g} s and got {reply['cpu_s']:.2f} s of processor time; ask again"
        )
    what = said or (
        f"it takes more than {limits.cpu_s} s" if reply["cpu_s"] > limits.cpu_s - 1 else "it ends the process"
    )
    raise PolicyFault(f"the answer cannot be compared: {what}")


@reward(subject="episode", version="math-verify-0.9, 1e-3 is 0.001", concurrency=256)
async def maths_match(
    completion: str, answer: str, cpu_s: int = 5, wall_s: float = 60.0, memory_mb: int = 1024
) -> float | None:
    """1 if the completion's answer is mathematically equivalent to the reference, else 0.

    Args:
        completion: what the policy wrote; the last boxed or plain mathematical answer counts.
        answer: the reference, as LaTeX or plain; without one, it abstains.
        cpu_s: processor time for one comparison.
        wall_s: time in which the machine must find that much.
        memory_mb: memory for one comparison.

    Raises:
        PolicyFault: no answer, or one that cannot be compared within the limits.
        ValueError: the reference cannot be read.
        TimeoutError: the machine was too busy.
    """
    if not answer.strip():
        return None
    limits = Limits(cpu_s=cpu_s, wall_s=wall_s, memory_mb=memory_mb)
    asked = asyncio.wrap_future(comparer().ask(completion[-LONGEST:], answer, limits))
    try:
        reply = await asyncio.wait_for(asked, PATIENCE_S + wall_s)
    except asyncio.TimeoutError:
        raise TimeoutError(f"no comparison after {PATIENCE_S + wall_s:g} s: too many are waiting; ask again") from None
    return outcome(reply, limits)
