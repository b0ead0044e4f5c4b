"""Test code that nobody trusts, so that it cannot say of itself that it has passed.

```text
            tests, nonce                                code
  asker ─────────────────→ sandbox of the tests    ┌──────────→ sandbox of the code
    ↑ ←── nonce + verdicts ──┘   │   ↑             │                  │
    │                  questions │   │ answers     │                  │
    └────────────────────────────┴───┴─── asker ───┴──────────────────┘
```

Tests and code run in two sandboxes that share nothing. Test calls reach the code as data, its answers come back as
data, and only then are compared, by the tests, far from anything the code could have changed. The asker carries bytes
between the two, each question with a new random echo, and believes verdicts only with the nonce that went to the tests'
sandbox. So no verdict line can be forged: the code speaks over a pipe on which no verdict is ever read. What it can do
is to answer, and wrong answers fail.

Whose fault it is follows from the order of events. Before the code was handed over, all trouble is ours. After that, an
end by limit, exit, signal or nonsense is the code's own doing, on either side: the tests are known to run with a right
solution.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rewards.sandbox.inside.tested import ECHO
from rewards.sandbox.inside.tester import NONCE
from rewards.sandbox.session import Ended, Session
from rewards.sandbox.tiers import Config, Tier

_VALUES = "rewards.sandbox.inside.values"
_TESTER, _TESTED = (_VALUES, "rewards.sandbox.inside.tester"), (_VALUES, "rewards.sandbox.inside.tested")


class TestsBroken(ValueError):
    """The tests cannot be run, whatever the code: our fault."""

    __test__ = False  # no test itself, whatever pytest may think


@dataclass(frozen=True)
class TestReport:
    """What the tests said of the code.

    Attributes:
        tier: the wall behind which the code ran.
        passed: for each test whether it passed; False too where the code ended before it.
        causes: for each test why not; empty where it passed.
        fault: empty, or why the code could not be tested to the end: it did not load, ran out of time, memory or
            output, ended its process, or said what it was not asked.
        wall_s: from the first sandbox's start to the last one's end.
    """

    __test__ = False

    tier: Tier
    passed: tuple[bool, ...]
    causes: tuple[str, ...]
    fault: str
    wall_s: float

    @property
    def share(self) -> float:
        """Passed tests among all."""
        return sum(self.passed) / len(self.passed)


def run_tests(config: Config, code: str, tests: Sequence[str]) -> TestReport:
    """Run tests against code.

    Args:
        config: which wall and which limits; each of the two sandboxes has them.
        code: a Python module; untrusted.
        tests: pieces of Python that raise where the code is wrong, such as `assert double(2) == 4`. They call the
            code's functions by name or import them from `solution`, and hand over plain data.

    Returns:
        The report; a fault in it is the code's own.

    Raises:
        TestsBroken: there are none, or they are no Python.
        TierAbsent: a sandbox cannot be had.
        TimeoutError: the machine was too busy to give the code its time.
    """
    if not tests:
        raise TestsBroken("got no tests; expected at least one")
    with Session(config, _TESTER) as tester, Session(config, _TESTED) as tested:
        talk = _Talk(tester, tested)
        fault = ""
        try:
            tester.wait_for_hello()
            tested.wait_for_hello()
            fault = talk.run(code, tests)
        except Ended as ended:
            ending = ended.session.close(ended)
            if ending.starved:
                raise TimeoutError(
                    f"the sandbox waited {ending.waited_s:.1f} of {ending.wall_s:.1f} s for a processor; "
                    "test fewer at the same time, or allow a longer wall_s"
                ) from None
            what = f"{ending.reason} {ending.code}: {ending.detail or ending.stderr[-200:]}"
            if ended.session is tested:
                fault = f"the code ended: {what}"
            elif talk.heard:
                fault = f"the tests ended over the code's answers: {what}"
            else:
                raise TestsBroken(f"the tests ended before the code had said anything: {what}") from None
        wall_s = max(tester.close().wall_s, tested.close().wall_s)
    verdicts = talk.verdicts + [(False, fault)] * (len(tests) - len(talk.verdicts))
    passed, causes = zip(*verdicts, strict=True)
    return TestReport(config.tier, passed, causes, fault, wall_s)


class _Talk:
    """Carries questions and answers, and collects verdicts. What the code says is never read here, only passed on."""

    def __init__(self, tester: Session, tested: Session) -> None:
        self.tester, self.tested = tester, tested
        self.verdicts: list[tuple[bool, str]] = []
        self.heard = False

    def run(self, code: str, tests: Sequence[str]) -> str:
        """Have all tests run; returns why the code did not load, or nothing."""
        nonce = secrets.token_bytes(NONCE)
        self.tester.send(nonce)
        self.tester.send(json.dumps(list(tests)).encode())
        while True:
            frame = self.tester.receive()
            letter, content = frame[NONCE : NONCE + 1], frame[NONCE + 1 :]
            if not secrets.compare_digest(frame[:NONCE], nonce):
                raise TestsBroken("the tests wrote where their verdicts go; take what writes to open files out of them")
            if letter == b"C":  # the tests are sound; only now the code is handed over
                self._carry(code.encode(errors="replace"))
            elif letter == b"Q":
                self._carry(content)
            elif letter == b"B":
                raise TestsBroken(json.loads(content))
            elif letter == b"L":
                return f"the code does not load: {json.loads(content)}"
            elif letter == b"E":
                return ""
            else:
                self.verdicts.append((letter == b"P", json.loads(content)))

    def _carry(self, question: bytes) -> None:
        echo = secrets.token_bytes(ECHO)
        self.tested.send(echo + question)
        answer = self.tested.receive()
        if not secrets.compare_digest(answer[:ECHO], echo):
            raise Ended(self.tested, "protocol", "answered what it had not been asked")
        self.heard = True
        self.tester.send(answer[ECHO:])
