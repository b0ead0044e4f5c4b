"""What the pages promise exists: relative links lead somewhere, Python examples parse and import what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pipelines.house import FOLDERS

HOUSE = Path(__file__).resolve().parents[2]

LINK = re.compile(r"!?\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^( *)(```+|~~~+) *([\w+-]*)[^\n]*\n(.*?)^ *\2`*~* *$", re.M | re.S)
OUTSIDE = ("http:", "https:", "mailto:", "#")


def pages(house: Path) -> list[Path]:
    """The repository's own Markdown pages."""
    return sorted([*house.glob("*.md"), *(house / "docs").rglob("*.md"), *(house / "examples").rglob("*.md")])


def link_offences(house: Path) -> list[str]:
    """Relative links that lead nowhere, and links to headings that are not there."""
    found = []
    for page in pages(house):
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", prose)):
            file, _, heading = target.partition("#")
            aim = page if not file else page.parent / file
            if target.startswith(OUTSIDE[:3]):
                continue
            if not aim.exists():
                found.append(f"{page.relative_to(house)}: link to {target}, which is not there")
            elif heading and aim.suffix == ".md" and heading not in anchors(aim.read_text(encoding="utf-8")):
                found.append(f"{page.relative_to(house)}: link to {target}, but no such heading")
    return found


def anchors(page: str) -> set[str]:
    """Names by which the headings of a page are linked."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def example_offences(house: Path) -> list[str]:
    """Python examples that do not parse, or import from the house what it has not."""
    found = []
    for page in pages(house):
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[3] not in ("python", "py"):
                continue
            start = text[: match.start(4)].count("\n")
            try:
                source = "\n".join(line.removeprefix(match[1]) for line in match[4].splitlines())
                tree = compile(source, str(page), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                found.append(f"{page.relative_to(house)}:{start + (error.lineno or 1)}: {error.msg}")
                continue
            found += [
                f"{page.relative_to(house)}:{start + line}: {what}" for line, what in missing_imports(tree, house)
            ]
    return found


def missing_imports(tree: ast.AST, house: Path) -> list[tuple[int, str]]:
    """Line and name of each import from a folder of the house that finds no module or no such name in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in wanted:
            if module.split(".")[0] not in FOLDERS:
                continue
            place = house.joinpath(*module.split("."))
            file = place.with_suffix(".py")
            if file.is_file():
                if name and name not in defined(file.read_text(encoding="utf-8")):
                    found.append((node.lineno, f"{module} has no {name}"))
            elif not place.is_dir():
                found.append((node.lineno, f"no module {module}"))
            elif name and not (place / f"{name}.py").is_file() and not (place / name).is_dir():
                found.append((node.lineno, f"{module} has no {name}"))
    return found


def defined(source: str) -> set[str]:
    """Names bound at the top level of a module, also under an `if` or a `try`."""
    names, open_nodes = set(), list(ast.parse(source).body)
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.If | ast.Try):
            open_nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return names


def test_every_relative_link_leads_somewhere():
    found = link_offences(HOUSE)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_every_python_example_parses_and_imports_what_is_there():
    found = example_offences(HOUSE)
    assert not found, "\n".join(found)


def test_a_dead_link_is_named(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("[b](b.md) [up](../README.md#the-house) ![no](x.png) [web](https://x.y)\n")
    (tmp_path / "README.md").write_text("# The house\n[a](docs/a.md) [lost](#attic) `[code](no.md)`\n")
    assert link_offences(tmp_path) == [
        "README.md: link to #attic, but no such heading",
        "docs/a.md: link to b.md, which is not there",
        "docs/a.md: link to x.png, which is not there",
    ]


@pytest.mark.parametrize(
    ("example", "offence"),
    [
        ("x = (\n", "README.md:3: '(' was never closed"),
        ("import os\nfrom envs.nowhere import Maze\n", "README.md:4: no module envs.nowhere"),
        ("from envs.maze import Cat\n", "README.md:3: envs.maze has no Cat"),
        ("from envs import cat\n", "README.md:3: envs has no cat"),
    ],
)
def test_a_wrong_example_is_named_with_its_line(tmp_path, example, offence):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "maze.py").write_text("class Maze: ...\n")
    (tmp_path / "README.md").write_text(f"Text.\n```python\n{example}```\n")
    assert example_offences(tmp_path) == [offence]


def test_a_right_example_passes_and_other_languages_are_left_alone(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "maze.py").write_text("class Maze: ...\nif True:\n    SIZE: int = 3\n")
    text = (
        "```python\nfrom envs.maze import Maze, SIZE\nfrom envs import maze\nawait Maze()\n```\n```bash\nmake (\n```\n"
    )
    (tmp_path / "README.md").write_text(text)
    assert example_offences(tmp_path) == []
