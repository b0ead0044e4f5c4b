"""Rubric files as data that remembers its lines, from YAML or from Markdown.

Markdown is for people: a front matter between two lines of `---` holds the settings, the text before the first
heading is the instruction, and each list under a heading is the list of that name:

    ---
    id: helpful-answer
    version: 1
    kind: rubric
    ---
    You judge the answers of an assistant.

    ## Criteria
    - **correct** (3): The final answer is right.
    - **clear**: Each step follows from the one before.

    ## Rules
    - **no-harm**: Nothing in it helps to hurt people.

Both forms give the same data, so a rubric can be moved from one to the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000

_ITEM = re.compile(r"[-*] +\*\*(?P<id>[^*]+)\*\* *(?:\((?P<weight>[^)]*)\))? *: *(?P<text>.+)")
_BULLET = re.compile(r"[-*] +(?P<text>.+)")
_HEADING = re.compile(r"#+ +(?P<name>.+?) *$")

Place = tuple[str | int, ...]


class RubricError(ValueError):
    """A rubric file that cannot be used; the message begins with file and line."""


@dataclass(frozen=True)
class Source:
    """What stands in a rubric file.

    Attributes:
        path: of the file.
        data: settings by name, not yet validated.
        lines: where each setting stands, by its place in `data`; lines count from 1.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, place: Place, message: str) -> RubricError:
        """An error that names file and line."""
        return RubricError(f"{self.path}:{self.line(place)}: {message}")


def read(path: Path) -> Source:
    """The data of a rubric file, by its ending: .yaml, .yml or .md.

    Raises:
        FileNotFoundError: there is no such file.
        RubricError: it is too large, not UTF-8, not YAML, or has another ending.
    """
    if not path.is_file():
        raise FileNotFoundError(f"got the rubric {str(path)!r}, which is no file; expected a .yaml or .md file")
    if path.stat().st_size > MAX_BYTES:
        raise RubricError(f"{path}:1: got {path.stat().st_size} bytes; expected a rubric of at most {MAX_BYTES}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RubricError(f"{path}:1: got bytes that are not UTF-8 ({error.reason}); save the file as UTF-8") from error
    if path.suffix in (".yaml", ".yml"):
        return _yaml(path, text)
    if path.suffix == ".md":
        return _markdown(path, text)
    raise RubricError(f"{path}:1: got a file ending in {path.suffix!r}; expected .yaml, .yml or .md")


def _yaml(path: Path, text: str, first_line: int = 1) -> Source:
    lines: dict[Place, int] = {}
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _note_lines(path, root, (), first_line, lines, set())
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = first_line + (error.problem_mark.line if error.problem_mark else 0)
        raise RubricError(f"{path}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RubricError(f"{path}:{first_line}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RubricError(f"{path}:{first_line}: got {type(data).__name__}; expected settings as `name: value`")
    return Source(path, data, lines)


def _note_lines(
    path: Path, node: Any, place: Place, first_line: int, lines: dict[Place, int], open_nodes: set[int]
) -> None:
    """Remember where each value stands; refuse keys that stand twice, and aliases, which can grow without bound."""
    if node is None:
        return
    lines[place] = first_line + node.start_mark.line
    if id(node) in open_nodes:
        raise RubricError(f"{path}:{lines[place]}: got a YAML alias (*name); expected the text written out")
    open_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = first_line + key.start_mark.line
                raise RubricError(f"{path}:{line}: got {key.value!r} a second time; expected each name once")
            seen.add(key.value)
            inner = (*place, key.value)
            _note_lines(path, value, inner, first_line, lines, open_nodes)
            lines[inner] = first_line + key.start_mark.line
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(path, value, (*place, position), first_line, lines, open_nodes)


def _markdown(path: Path, text: str) -> Source:
    rows = text.splitlines()
    if not rows or rows[0].strip() != "---" or "---" not in (row.strip() for row in rows[1:]):
        raise RubricError(f"{path}:1: expected a front matter of settings between two lines of ---")
    end = next(place for place, row in enumerate(rows[1:], start=1) if row.strip() == "---")
    front = _yaml(path, "\n".join(rows[1:end]), first_line=2)
    data, lines = dict(front.data), dict(front.lines)
    name, instruction = "", []
    for number, row in enumerate(rows[end + 1 :], start=end + 2):
        if heading := _HEADING.match(row):
            name = heading["name"].strip().lower().replace(" ", "_")
            if name in data:
                raise RubricError(f"{path}:{number}: got {name!r} a second time; expected each name once")
            data[name], lines[(name,)] = [], number
        elif not name:
            instruction.append(row)
        elif match := _BULLET.match(row.strip()):
            lines[(name, len(data[name]))] = number
            data[name].append(_item(path, number, row.strip(), match["text"]))
        elif row.strip() and row[0].isspace() and data[name]:  # a bullet goes on
            _continue(data[name], row.strip())
        elif row.strip():
            raise RubricError(f"{path}:{number}: got {row.strip()[:60]!r} under a heading; expected a list, '- …'")
    if body := "\n".join(instruction).strip():
        if "instruction" in data:
            line = lines[("instruction",)]
            raise RubricError(f"{path}:{line}: got an instruction here and in the text below; expected one")
        data["instruction"] = body
        lines[("instruction",)] = end + 2
    return Source(path, data, lines)


def _item(path: Path, number: int, row: str, text: str) -> Any:
    """A criterion with its name and weight, or a plain text."""
    match = _ITEM.match(row)
    if match is None:
        return text
    item: dict[str, Any] = {"id": match["id"].strip(), "text": match["text"].strip()}
    if match["weight"] is not None:
        try:
            item["weight"] = float(match["weight"])
        except ValueError:
            raise RubricError(
                f"{path}:{number}: got the weight {match['weight']!r}; expected a number in the brackets, as in (2)"
            ) from None
    return item


def _continue(items: list[Any], row: str) -> None:
    if isinstance(items[-1], dict):
        items[-1]["text"] += " " + row
    else:
        items[-1] += " " + row
