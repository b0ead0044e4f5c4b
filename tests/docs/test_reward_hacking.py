"""The page on reward hacking is true: each module is there, under one driver and in one role, and none is left out."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter

from pipelines.methods import DOCS

HOUSE = DOCS.parent
ROW = re.compile(r"^\| (?P<driver>[\w-]+) \| (?P<role>\w+) \| `(?P<module>[\w.]+)` \| (?P<what>.+) \|$", re.M)
ROWS = [row.groupdict() for row in ROW.finditer((DOCS / "reward-hacking.md").read_text(encoding="utf-8"))]
SPOKEN_OF = re.compile(r"\bhack|\bover-?optimi|\bexploited\b", re.I)


def test_each_module_stands_under_one_driver_in_one_role_and_is_there():
    assert {(row["driver"], row["role"]) for row in ROWS} == {
        (driver, role)
        for driver in ("compression", "amplification", "co-adaptation")
        for role in ("detect", "mitigate")
    }
    assert set(Counter(row["module"] for row in ROWS).values()) == {1}
    missing = [row["module"] for row in ROWS if importlib.util.find_spec(row["module"]) is None]
    assert not missing


def test_whatever_speaks_of_hacking_is_listed():
    listed = {row["module"] for row in ROWS}
    speaks = {
        ".".join(path.relative_to(HOUSE).with_suffix("").parts)
        for room in ("rewards", "learners", "actors")
        for path in (HOUSE / room).rglob("*.py")
        if SPOKEN_OF.search(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    }
    assert not speaks - listed, "give each a driver and a role in docs/reward-hacking.md"
