"""The import order of the house (docs/design.md), read from the source, so that a breach is named by its line."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "envs": set(),
    "cluster": set(),
    "rewards": {"envs"},
    "actors": {"envs"},
    "learners": {"envs"},
    "pipelines": {"envs", "cluster", "rewards", "actors", "learners"},
}
KNOW_RAY = {"cluster", "pipelines"}

# Heavy or optional libraries: in each of these folders one file may import it, and no other file of the house.
ONE_FILE_IN = {
    "nle": ("envs",),
    "minihack": ("envs",),
    "envpool": ("envs",),
    "mlflow": ("pipelines",),
    "datasets": ("envs/language/tasks",),
    "vllm": ("actors/engines",),
    "math_verify": ("rewards/verifiers",),
    "sacrebleu": ("rewards/verifiers",),
    "zlib_ng": ("envs/storage",),
    "peft": ("learners/language",),
    # to run, to make, and to give them an attention of ours
    "transformers": ("actors/engines", "rewards/judges/builtin", "pipelines/language", "learners/language"),
}

# A thing without a home means a missing noun.
NAMES_WITHOUT_A_THING = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "base", "tools", "stuff"}


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import; a relative one keeps its dots. Also by `import_module("name")`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


def offences(house: Path) -> list[str]:
    """Each breach of the import order under `house`, as file:line and what is wrong."""
    found = []
    heavy = defaultdict(set)
    for room, allowed in MAY_IMPORT.items():
        for path in sorted((house / room).rglob("*.py")):
            file = path.relative_to(house)
            for line, name in imports(path.read_text(encoding="utf-8")):
                top = name.split(".")[0]
                if name.startswith("."):
                    found.append(f"{file}:{line}: relative import; write the name on disk, from {room}.…")
                elif top in MAY_IMPORT and top != room and top not in allowed:
                    found.append(f"{file}:{line}: {room} imports {name}; it may import {sorted(allowed) or 'no room'}")
                elif top == "ray" and room not in KNOW_RAY:
                    found.append(f"{file}:{line}: {room} imports {name}; only {sorted(KNOW_RAY)} know Ray")
                elif top in ("tests", "benchmarks", "examples"):
                    found.append(f"{file}:{line}: {room} imports {name}; the house stands without it")
                if top in ONE_FILE_IN:
                    heavy[top].add((file, line))
    for library, uses in sorted(heavy.items()):
        for folder in ONE_FILE_IN[library]:
            files = sorted({file for file, _ in uses if file.is_relative_to(folder)})
            if len(files) > 1:
                found.append(f"{folder}: {library} is imported by {', '.join(map(str, files))}; one file may")
        homes = ONE_FILE_IN[library]
        for file, line in sorted(uses):
            if not any(file.is_relative_to(folder) for folder in homes):
                found.append(f"{file}:{line}: imports {library}, which lives in {' and '.join(homes)}")
    return found


def names_without_a_thing(house: Path) -> list[str]:
    """Files and folders of the house whose name says nothing."""
    return [
        f"{path.relative_to(house)}: name what it holds"
        for room in MAY_IMPORT
        for path in sorted((house / room).rglob("*"))
        if path.stem in NAMES_WITHOUT_A_THING and (path.is_dir() or path.suffix == ".py")
    ]


def plant(house: Path, file: str, source: str) -> Path:
    (house / file).parent.mkdir(parents=True, exist_ok=True)
    (house / file).write_text(source)
    return house


@pytest.mark.slow
def test_the_house_keeps_its_import_order():
    found = offences(HOUSE)
    assert not found, "\n".join(found)


def test_every_file_is_named_after_what_it_holds():
    found = names_without_a_thing(HOUSE)
    assert not found, "\n".join(found)


def test_a_judge_that_imports_a_learner_is_named_with_its_line(tmp_path):
    plant(tmp_path, "rewards/judges/eager.py", "import math\n\nfrom learners.losses import vtrace\n")
    assert offences(tmp_path) == ["rewards/judges/eager.py:3: rewards imports learners.losses; it may import ['envs']"]


def test_a_learner_may_not_know_ray_even_inside_a_function(tmp_path):
    plant(tmp_path, "learners/remote.py", "def go():\n    import ray.util\n")
    assert offences(tmp_path) == [
        "learners/remote.py:2: learners imports ray.util; only ['cluster', 'pipelines'] know Ray"
    ]


def test_nothing_imports_pipelines_and_the_lowest_rooms_import_no_room(tmp_path):
    plant(tmp_path, "cluster/pool.py", "import pipelines.config\n")
    plant(tmp_path, "envs/maze.py", "import cluster\n")
    assert offences(tmp_path) == [
        "envs/maze.py:1: envs imports cluster; it may import no room",
        "cluster/pool.py:1: cluster imports pipelines.config; it may import no room",
    ]


def test_what_the_order_allows_is_no_offence(tmp_path):
    plant(tmp_path, "pipelines/local.py", "import ray\nfrom envs.specs import Box\nfrom learners import losses\n")
    plant(tmp_path, "actors/policy.py", "from envs.specs import Box\nimport torch\nfrom actors import unroll\n")
    assert offences(tmp_path) == []


def test_relative_imports_and_imports_by_name_are_seen(tmp_path):
    plant(tmp_path, "actors/near.py", "from . import policy\n")
    plant(tmp_path, "learners/sly.py", "import importlib\nimportlib.import_module('rewards.views')\n")
    assert offences(tmp_path) == [
        "actors/near.py:1: relative import; write the name on disk, from actors.…",
        "learners/sly.py:2: learners imports rewards.views; it may import ['envs']",
    ]


def test_a_second_file_that_imports_a_heavy_library_is_named(tmp_path):
    plant(tmp_path, "envs/nethack.py", "import nle\n")
    plant(tmp_path, "envs/minihack.py", "from nle import nethack\n")
    plant(tmp_path, "actors/policy.py", "import nle\n")
    assert offences(tmp_path) == [
        "envs: nle is imported by envs/minihack.py, envs/nethack.py; one file may",
        "actors/policy.py:1: imports nle, which lives in envs",
    ]


def test_a_file_called_utils_is_named(tmp_path):
    plant(tmp_path, "rewards/utils.py", "")
    plant(tmp_path, "envs/common/specs.py", "")
    assert names_without_a_thing(tmp_path) == [
        "envs/common: name what it holds",
        "rewards/utils.py: name what it holds",
    ]
