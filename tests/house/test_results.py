"""Every file of docs/results/ has the form that its README promises, and the README lists every file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipelines.results import read_result

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"

# Written down a second time, on purpose: the form must not drift with the code that writes it.
KEYS = {"name", "claim", "holds", "command", "date", "commit", "machine", "versions", "figures", "rows"}
MACHINE_KEYS = {"cpu", "cores", "memory_gib", "gpu"}
FIGURE_KEYS = {"value", "unit", "low", "high", "n"}

GOOD = {
    "name": "annotation-retention",
    "claim": "Judging costs less than a tenth of the frames per second.",
    "holds": True,
    "command": "make train",
    "date": "2026-01-31",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "machine": {"cpu": "some processor", "cores": 2, "memory_gib": 8.0, "gpu": None},
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "figures": {"retention": {"value": 0.93, "unit": "ratio", "low": 0.9, "high": 0.95, "n": 5}},
    "rows": [{"seed": 0, "ratio": 0.92, "note": None}],
}


def offences(results: Path) -> list[str]:
    """What is wrong with the result files and their list."""
    found = []
    files = sorted(results.rglob("*.json"))
    for path in files:
        raw = json.loads(path.read_text(encoding="utf-8"))
        keys = [(KEYS, raw), (MACHINE_KEYS, raw.get("machine", {}))]
        keys += [(FIGURE_KEYS, figure) for figure in raw.get("figures", {}).values()]
        found += [
            f"{path.name}: got keys {sorted(part)}; expected {sorted(want)}" for want, part in keys if set(part) != want
        ]
        try:
            if read_result(path).commit == "unknown":
                found.append(f"{path.name}: measured without a commit; repeat it in a clone")
        except ValueError as error:
            found.append(f"{path.name}: {error}")
    readme = results / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    listed = re.findall(r"\]\(([^)]+\.json)\)", text)
    names = [path.relative_to(results).as_posix() for path in files]
    found += [f"README.md does not list {name}" for name in names if name not in listed]
    found += [f"README.md lists {name}, which is not there" for name in listed if name not in names]
    return found


def plant(folder: Path, change: dict | None = None, drop: str = "", file: str = "annotation-retention.json") -> Path:
    raw = {key: value for key, value in {**GOOD, **(change or {})}.items() if key != drop}
    (folder / file).write_text(json.dumps(raw))
    (folder / "README.md").write_text(f"[a result]({file})\n")
    return folder


def test_every_result_has_the_form_and_is_listed():
    found = offences(RESULTS)
    assert not found, "\n".join(found)


def test_a_good_result_passes(tmp_path):
    assert offences(plant(tmp_path)) == []


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_missing_key_is_named(tmp_path, key):
    assert any("got keys" in line for line in offences(plant(tmp_path, drop=key)))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"name": "another-name"},
        {"holds": "yes"},
        {"holds": 1},
        {"date": "31.1.2026"},
        {"commit": "main"},
        {"commit": "unknown"},
        {"versions": {}},
        {"figures": {}},
        {"figures": {"x": {"value": None, "unit": "s", "low": None, "high": None, "n": 1}}},
        {"figures": {"x": {"value": 1.0, "unit": "s", "low": None, "high": None, "n": 3}}},
        {"figures": {"x": {"value": 1.0, "unit": "s", "low": 2.0, "high": 1.0, "n": 3}}},
        {"figures": {"x": {"value": 1.0, "unit": "s", "low": 0.5, "high": None, "n": 3}}},
        {"figures": {"x": {"value": 1.0, "unit": "s", "n": 1}}},
        {"machine": {"cpu": "some processor", "cores": 2, "memory_gib": 8.0}},
        {"machine": {"cpu": "some processor", "cores": 2, "memory_gib": 8.0, "gpu": None, "host": "ada"}},
        {"rows": {"seed": 0}},
        {"rows": [{"seed": [0, 1]}]},
    ],
)
def test_a_part_of_another_form_is_named(tmp_path, change):
    assert offences(plant(tmp_path, change)) != []


def test_files_and_list_must_agree(tmp_path):
    plant(tmp_path)
    (tmp_path / "README.md").write_text("[gone](gone.json)\n")
    assert offences(tmp_path) == [
        "README.md does not list annotation-retention.json",
        "README.md lists gone.json, which is not there",
    ]
