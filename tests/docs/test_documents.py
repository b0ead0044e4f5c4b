"""The pages do what they say: their commands and examples run.

The blocks of a page run in its order, in one temporary directory:

- ```` ```python ```` whose first line is `# some/file.py` is saved there; any other is executed;
- ```` ```bash ```` is executed, with the `export` lines of the blocks before;
- ```` ```text ```` after a block is its output in part: each line's first word must have been printed;
- a block under `<!-- not run: reason -->` is left alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HOUSE = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w/]+\.py)\n")
BLOCK_TIMEOUT_S = 1200  # a block takes seconds; a loaded machine may need minutes


class Block(NamedTuple):
    """A fenced block: the line where its text begins, its language, its text, and why it is not run (or None)."""

    line: int
    kind: str
    text: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(page[: m.start("text")].count("\n") + 1, m["kind"], m["text"], m["reason"]) for m in BLOCK.finditer(page)
    ]


def run_page(page: str, where: Path, name: str = "page") -> int:
    """Run the blocks of a page in `where`; gives how many were executed.

    Raises:
        AssertionError: names the first block that failed, with the end of what it printed.
    """
    commands = where / ".commands"
    commands.mkdir()
    house = f'PYTHONPATH="{HOUSE}${{PYTHONPATH:+:$PYTHONPATH}}" exec "{sys.executable}"'
    # Without the current directory on its path: the installed command does not have it either.
    entry = "import sys; sys.path.pop(0); from pipelines.cli import main; main()"
    for command, line in {"python": f'{house} "$@"', "guerdon": f'{house} -c "{entry}" "$@"'}.items():
        (commands / command).write_text(f"#!/bin/sh\n{line}\n")
        (commands / command).chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PATH"] = f"{commands}{os.pathsep}{environment['PATH']}"

    exports, printed, executed = "", "", 0
    for block in blocks(page):
        if block.kind == "text":
            lost = [line for line in block.text.splitlines() if line.strip() and line.split()[0] not in printed.split()]
            if lost:
                raise AssertionError(f"{name}:{block.line}: the page shows output that was not printed: {lost[0]}")
        if block.reason or block.kind not in ("python", "bash"):
            continue
        if block.kind == "python" and (file := FILE.match(block.text)):
            (where / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (where / file[1]).write_text(block.text)
            continue
        script = f"set -euo pipefail\n{exports}"
        script += block.text if block.kind == "bash" else f"python - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_TIMEOUT_S,
        )
        printed, executed = done.stdout, executed + 1
        if done.returncode:
            raise AssertionError(f"{name}:{block.line}: exit code {done.returncode}\n{printed[-3000:]}")
        exports += "".join(f"{line}\n" for line in block.text.splitlines() if line.startswith("export "))
    return executed


PAGES = [
    "README.md",
    *sorted(
        str(path.relative_to(HOUSE)) for folder in ("docs", "docs/how-to") for path in (HOUSE / folder).glob("*.md")
    ),
]
SHOWN_ONLY = {
    "docs/design.md",
    "docs/faq.md",
    "docs/glossary.md",
    "docs/judges.md",
    "docs/methods.md",
}  # pages with nothing to run


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if page not in SHOWN_ONLY])
def test_what_a_page_shows_runs(page, tmp_path):
    assert run_page((HOUSE / page).read_text(encoding="utf-8"), tmp_path, page) > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_on_a_page_is_seen(page):
    text = (HOUSE / page).read_text(encoding="utf-8")
    assert 2 * len(blocks(text)) == len(re.findall(r"^ *```", text, re.M))


def test_a_saved_file_is_there_for_the_next_block_and_an_export_lasts(tmp_path):
    page = (
        "```python\n# lab/world.py\nSIZE = 3\n```\n```bash\nexport PYTHONPATH=$PWD COLOUR=red\n```\n"
        "```python\nimport os, lab.world, envs.catch\nprint('size', lab.world.SIZE, os.environ['COLOUR'])\n```\n"
        "```text\nsize 4 …\n```\n<!-- not run: it would fail -->\n```bash\nexit 1\n```\n"
    )
    assert run_page(page, tmp_path) == 2


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("Text.\n```bash\necho it broke\nexit 3\n```\n", r"page:3: exit code 3\nit broke"),
        ("```bash\nfalse | true\n```\n", "page:2: exit code 1"),
        ("```python\nraise KeyError('lost')\n```\n", "page:2: exit code 1\n(.|\n)*KeyError: 'lost'"),
        ("```bash\necho one\n```\n```text\none\ntwo\n```\n", "page:5: the page shows output that was not printed: two"),
    ],
)
def test_a_block_that_fails_is_named_with_its_line_and_its_output(page, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        run_page(page, tmp_path)
