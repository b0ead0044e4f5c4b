"""No module of the house needs one that needs it, also not in a function: what is above knows what is below."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = ("actors", "cluster", "envs", "learners", "pipelines", "rewards")


def modules(house: Path) -> dict[str, Path]:
    """By dotted name."""
    found = {}
    for path in (path for room in ROOMS for path in sorted((house / room).rglob("*.py"))):
        parts = path.relative_to(house).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


class Imports(ast.NodeVisitor):
    """Names that are imported when the code runs: those for annotations alone need nothing."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}


def circle(house: Path) -> list[str]:
    """The modules of one circle, the first of them last as well; nothing where there is none."""
    known, needs = modules(house), {}
    for name, path in known.items():
        found = Imports()
        found.visit(ast.parse(path.read_text(encoding="utf-8")))
        needs[name] = sorted((found.names & known.keys()) - {name})
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_comes_back_to_where_it_began():
    assert circle(HOUSE) == []


def test_a_circle_is_named_also_where_an_import_waits_in_a_function(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/maze.py").write_text("from envs import walls\n")
    (tmp_path / "envs/walls.py").write_text("def wall():\n    from envs.maze import Maze\n")
    (tmp_path / "envs/doors.py").write_text("import envs.walls\n")
    assert sorted(circle(tmp_path)[:-1]) == ["envs.maze", "envs.walls"]


def test_an_import_for_annotations_alone_makes_no_circle(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/maze.py").write_text("from envs import walls\n")
    lines = "from typing import TYPE_CHECKING", "if TYPE_CHECKING:", "    from envs.maze import Maze"
    (tmp_path / "envs/walls.py").write_text("\n".join(lines))
    assert circle(tmp_path) == []
