"""The pages do what they say: their commands and examples run (how, says `benchmarks/apparatus/pages.py`)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from benchmarks.apparatus.pages import blocks, execute
from envs.tasks import TASKS
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.recipes.table import RECIPES

HOUSE = Path(__file__).resolve().parents[2]


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

    executed = 0
    for done in execute(page, where, environment):
        executed += 1
        if done.code:
            raise AssertionError(f"{name}:{done.block.line}: exit code {done.code}\n{done.printed[-3000:]}")
        if done.lost is not None:
            line, text = done.lost
            raise AssertionError(f"{name}:{line}: the page shows output that was not printed: {text}")
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


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_fence_on_a_page_is_seen(page):
    text = (HOUSE / page).read_text(encoding="utf-8")
    assert 2 * len(blocks(text)) == len(re.findall(r"^ *```", text, re.M))


def names_in(text: str) -> set[str]:
    """What stands in backticks, a name that begins with a dash also behind the name before it, or its beginning."""
    found, last = set(), ""
    for name in re.findall(r"`([^`\n]+)`", text):
        last = last if name.startswith("-") else name
        found |= {last + name, last.rpartition("-")[0] + name} if name.startswith("-") else {name}
    return found


@pytest.mark.parametrize(("heading", "things"), [("Recipes", {*RECIPES, *LANGUAGE_RECIPES}), ("Tasks", {*TASKS})])
def test_the_readme_names_all_that_there_is_to_choose_from(heading, things):
    _, _, after = (HOUSE / "README.md").read_text(encoding="utf-8").partition(f"### {heading}\n")
    assert not things - names_in(after.partition("\n### ")[0])


def test_each_verifiable_reward_has_its_row():
    there = {
        name
        for path in (HOUSE / "rewards/verifiers").glob("*.py")
        for name in re.findall(r"^@reward\(.*\)\n(?:async )?def (\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    assert len(there) > 20 and not there - names_in((HOUSE / "docs/verifiers.md").read_text(encoding="utf-8"))


@pytest.mark.slow
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
