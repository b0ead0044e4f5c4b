"""No module of the house needs one that needs it, also not in a function: what is above knows what is below.

And what needs no cluster loads no Ray: runs in one process, and whoever looks at what a run has left, begin sooner.
"""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

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
    """Names that are imported when the code runs: those for annotations alone need nothing.

    With `functions=False` those that are imported when the module is.
    """

    def __init__(self, functions: bool = True) -> None:
        self.names: set[str] = set()
        self._functions = functions

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if self._functions:
            self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}


def needed(path: Path, functions: bool = True) -> set[str]:
    """What a file imports, by dotted name."""
    found = Imports(functions)
    found.visit(ast.parse(path.read_text(encoding="utf-8")))
    return found.names


def way_to(library: str, house: Path, starts: list[str]) -> list[str]:
    """The modules through which importing one of `starts` imports a library; nothing where it does not."""
    known, ways = modules(house), [[start] for start in starts]
    seen = set(starts)
    for way in ways:  # it grows: the shortest way is found first
        names = needed(known[way[-1]], functions=False)
        if any(f"{name}.".startswith(f"{library}.") for name in names):
            return [*way, library]
        ways += [[*way, name] for name in sorted((names & known.keys()) - seen)]
        seen |= names
    return []


def circle(house: Path) -> list[str]:
    """The modules of one circle, the first of them last as well; nothing where there is none."""
    known = modules(house)
    needs = {name: sorted((needed(path) & known.keys()) - {name}) for name, path in known.items()}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.slow
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


WITHOUT_RAY = [
    "pipelines.cli",
    "pipelines.train",  # and with it `pipelines.local`
    "pipelines.language.train",
    "pipelines.evaluate",
    "pipelines.language.policy",
    "pipelines.machines.doctor",
    "pipelines.reports.page",
    "pipelines.stored.offline",
    "pipelines.stored.reannotate",
]


@pytest.mark.slow
def test_what_needs_no_cluster_loads_no_ray():
    assert way_to("ray", HOUSE, WITHOUT_RAY) == []


WITHOUT_TORCH = [
    "cluster.hosts",
    "pipelines.judging.served_judge",
    "pipelines.language.reward_parts",
    "pipelines.language.shard",
    "pipelines.replay_shard",
    "pipelines.service.targets",
]


@pytest.mark.slow
def test_processes_without_networks_load_no_torch():
    assert way_to("torch", HOUSE, WITHOUT_TORCH) == []


@pytest.mark.slow
def test_what_shards_models_is_loaded_where_models_are_sharded():
    assert way_to("torch.distributed.fsdp", HOUSE, ["pipelines.language.roles", "pipelines.language.train"]) == []


def test_the_way_to_a_library_is_named_and_ends_at_functions(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/local.py").write_text("import pipelines.roles\n")
    (tmp_path / "pipelines/roles.py").write_text("from ray import serve\n\ndef go():\n    import torch\n")
    assert way_to("ray", tmp_path, ["pipelines.local"]) == ["pipelines.local", "pipelines.roles", "ray"]
    assert way_to("torch", tmp_path, ["pipelines.local"]) == []
