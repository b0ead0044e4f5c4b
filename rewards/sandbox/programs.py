"""Run a whole program in a sandbox: standard input in, standard output out."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.sandbox.session import Ended, Ending, Session
from rewards.sandbox.tiers import Config


@dataclass(frozen=True)
class Output:
    """What a program wrote to its standard output, and how it ended."""

    stdout: str
    ending: Ending

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself, with status 0."""
        return self.ending.reason == "exit" and self.ending.code == 0


def run_program(config: Config, source: str, stdin: str = "") -> Output:
    """Run Python source.

    Args:
        config: which wall, which limits.
        source: the program; untrusted.
        stdin: what it reads.

    Raises:
        TierAbsent: the sandbox cannot be had; nothing was run.
        TimeoutError: the machine was too busy to give the program its time.
    """
    with Session(config, ("rewards.sandbox.inside.program",)) as session:
        session.wait_for_hello()
        written, ended = b"", None
        try:
            session.send(source.encode(errors="replace"))
            session.send(stdin.encode(errors="replace"))
            written = session.rest()
        except Ended as reason:
            ended = reason
        ending = session.close(ended)
        if ending.starved:
            raise TimeoutError(f"the sandbox waited {ending.waited_s:.1f} of {ending.wall_s:.1f} s for a processor")
        return Output(written.decode(errors="replace"), ending)
