"""A page of the documents as something to do: its blocks in their order, in one directory, each timed.

- ```` ```python ```` whose first line is `# some/file.py` is saved there; any other is executed;
- ```` ```bash ```` is executed, with the `export` lines of the blocks before;
- ```` ```text ```` after a block is its output in part: each line's first word must have been printed;
- a block under `<!-- not run: reason -->` is left alone.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w/]+\.py)\n")
BLOCK_TIMEOUT_S = 1200  # a block takes seconds; a loaded machine may need minutes


class Block(NamedTuple):
    """A fenced block: the line where its text begins, its language, its text, and why it is not run (or None)."""

    line: int
    kind: str
    text: str
    reason: str | None


@dataclass(frozen=True)
class Done:
    """A block that was executed.

    Attributes:
        block: what was.
        code: that it ended with.
        printed: by it, both streams.
        seconds: that it took.
        lost: a line that the page shows as its output and that it did not print; None where all were.
    """

    block: Block
    code: int
    printed: str
    seconds: float
    lost: tuple[int, str] | None = None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(page[: m.start("text")].count("\n") + 1, m["kind"], m["text"], m["reason"]) for m in BLOCK.finditer(page)
    ]


def execute(page: str, where: Path, environment: Mapping[str, str], skip: int = 0) -> Iterator[Done]:
    """Do what a page shows, block by block; whoever takes them decides whether to go on after one that failed.

    Args:
        page: its text.
        where: the directory in which all of it happens.
        environment: of the commands.
        skip: blocks to execute that were done before, in the same directory.

    Raises:
        subprocess.TimeoutExpired: a block took longer than `BLOCK_TIMEOUT_S`.
    """
    exports, found = "", blocks(page)
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.reason or block.kind not in ("python", "bash"):
            continue
        if block.kind == "python" and (file := FILE.match(block.text)):
            (where / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (where / file[1]).write_text(block.text)
            continue
        script = f"set -euo pipefail\n{exports}"
        script += block.text if block.kind == "bash" else f"python - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK\n"
        exports += "".join(f"{line}\n" for line in block.text.splitlines() if line.startswith("export "))
        if skip > 0:
            skip -= 1
            continue
        begun = time.monotonic()
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=where,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_TIMEOUT_S,
        )
        done = Done(block, ended.returncode, ended.stdout, time.monotonic() - begun)
        yield replace(done, lost=_lost(after, ended.stdout))


def _lost(after: Block | None, printed: str) -> tuple[int, str] | None:
    """Line and text of the first output that a page shows and that was not printed."""
    if after is None or after.kind != "text":
        return None
    words = set(printed.split())
    lost = [line for line in after.text.splitlines() if line.strip() and line.split()[0] not in words]
    return (after.line, lost[0]) if lost else None
