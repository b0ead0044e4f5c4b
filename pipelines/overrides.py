"""`key=value` overrides: by dotted path, typed by YAML, checked against the experiment.

`reward=ranking`, `judge=rules` and `fallback=rules` are short for `reward.source=ranking`, `judge.kind=rules` and
`fallback.judge.kind=rules`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cluster.manifests.deployment import SECRET_URL
from pipelines.errors import UserError

AnyExperiment = TypeVar("AnyExperiment", bound=BaseModel)

SHORT = {"reward": "reward.source", "judge": "judge.kind", "fallback": "fallback.judge.kind"}
# Of language experiments, names that a task or a user gives; of monitors, their kinds; of columns, their names.
OPEN = (["rewards", "weights"], ["rewards", "functions"], ["monitors", "actions"], ["reward", "observed"])
KINDS = ("builtin", "rules", "transformers", "openai", "recorded")  # pydantic counts them among the keys


def parse(texts: Sequence[str], as_typed: Collection[str] = ()) -> dict[str, Any]:
    """Split `key=value` texts; values are YAML scalars or lists.

    Args:
        texts: in any order.
        as_typed: keys of names and of free text, which are taken as they stand, unless they are in quotes: `run=010` is
            no number, and `message=Sort this: a, b` no mapping.

    Raises:
        UserError: a text has no '=', a key comes twice, or a value is not YAML.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"got {text!r}; expected key=value, such as frames=200000")
        if key in found:
            raise UserError(f"got {key!r} twice; give it once")
        if key in as_typed and value[:1] not in ("'", '"'):
            found[key] = value
            continue
        try:
            found[key] = yaml.safe_load(value) if value else ""
        except (yaml.YAMLError, ValueError):  # a date that does not exist is a ValueError
            raise UserError(f"{key}: got {value!r}, which is not a YAML value; quote it") from None
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """Overrides out of a YAML file: `key: value`, by dotted path or nested.

    Raises:
        UserError: it cannot be read, or is not a mapping.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"settings={path}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UserError(
            f"settings={path}: got {type(found).__name__}; expected keys and values, such as frames: 200000"
        )
    return dict(dotted(found, whole=("view",)))  # a view is given whole: there may be none to change


def dotted(tree: Mapping[str, Any], start: str = "", whole: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted keys and values.

    Args:
        tree: settings.
        start: with which each key begins.
        whole: names of settings that are given whole, however nested.
    """
    for key, value in tree.items():
        if isinstance(value, Mapping) and key not in whole:
            yield from dotted(value, f"{start}{key}.", whole)
        else:
            yield f"{start}{key}", value


def apply(experiment: AnyExperiment, values: dict[str, Any]) -> AnyExperiment:
    """The experiment with some values replaced.

    Raises:
        UserError: a key or a value does not fit; the message names the nearest key. Or a value holds a password.
    """
    for key, value in values.items():
        if SECRET_URL.search(str(value)):
            raise UserError(
                f"{key} holds a user and a password, and a run's config can be read by many; give them to the "
                "environment, as the library behind it expects: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
                "the variable of judge.api_key_env, the keys of a cloud, ~/.pgpass"
            )
    tree = experiment.model_dump()
    paths = {key: (key if isinstance(value, dict) else SHORT.get(key, key)).split(".") for key, value in values.items()}
    # The kind of judge comes first, wherever it was given: it decides which settings there are.
    for key in sorted(values, key=lambda key: paths[key][-2:] != ["judge", "kind"]):
        path, value = paths[key], values[key]
        node = tree
        for depth, part in enumerate(path[:-1]):
            if not isinstance(node.get(part), dict):
                raise UserError(_unknown(key, part, node, ".".join(path[:depth])))
            node = node[part]
        if path[-2:] == ["judge", "kind"] and value != node.get("kind"):
            # Another kind of judge has other settings; those of the old kind would only be refused.
            node.clear()
            node["kind"] = value
            continue
        open_ended = path[0] == "task_options" or "judge" in path or path[:-1] in OPEN or _of_nodes(path)
        if path[-1] not in node and not open_ended:
            raise UserError(_unknown(key, path[-1], node, ".".join(path[:-1])))
        node[path[-1]] = value
    try:
        return type(experiment).model_validate(tree)
    except ValidationError as error:
        raise UserError(explain(error)) from None


def _of_nodes(path: Sequence[str]) -> bool:
    """Whether the last part is a name that the nodes of a cluster give: `placement.actors.labels.pool`."""
    return path[0] == "placement" and len(path) == 4 and path[2] in ("labels", "resources")


def explain(error: ValidationError) -> str:
    """A validation error in one line: where, what was got, what was expected."""
    lines = []
    found = error.errors()
    for item in found:
        if item["type"] == "too_short" and any(
            o is not item and o["loc"][: len(item["loc"])] == item["loc"] for o in found
        ):
            continue  # pydantic counts an item that was refused as one that is missing
        where = ".".join(str(part) for part in item["loc"] if part not in KINDS)
        got = item.get("input")
        said = item["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(got, (dict, BaseModel)) or said.startswith("got ") else f"got {got!r}; "
        lines.append(f"{where + ': ' if where else ''}{shown}{said}")
    return "; ".join(lines)


def _unknown(key: str, part: str, node: dict[str, Any], where: str) -> str:
    near = difflib.get_close_matches(part, list(node), n=3, cutoff=0.4)
    place = f" in {where}" if where else ""
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; expected one of {', '.join(sorted(node))}"
    return f"unknown key {key!r}: there is no {part!r}{place}{hint}"
