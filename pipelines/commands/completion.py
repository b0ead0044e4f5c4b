"""What the shell offers after TAB: recipes, runs, keys and their values.

Keys come from the experiment's own model. Reading it takes seconds, so they are kept in the cache folder, under the
time at which the code that says them was last changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

ROOMS = Path(__file__).resolve().parents[2]
TRAIN_KEYS = ("runs=", "resume=", "from=", "settings=", "display=")
DISPLAYS = ("auto", "live", "lines", "jsonl", "quiet")
MOST_RUNS = 50
DEEPEST = 6


def complete_kinds(incomplete: str) -> list[str]:
    """Kinds of `guerdon new`."""
    return [kind for kind in ("env", "reward", "judge", "recipe") if kind.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Names of runs below `runs/`, the newest first, and `last`."""
    found = [path.parent for path in Path("runs").glob("*/config.yaml")]
    newest = sorted(found, key=lambda path: -path.stat().st_mtime)[:MOST_RUNS]
    return [name for name in ("last", *(path.name for path in newest)) if name.startswith(incomplete)]


def complete_training(ctx: typer.Context, incomplete: str) -> list[str]:
    """Recipes for the first word, then keys; after `key=`, its values where they are known."""
    words = list(ctx.params.get("words") or [])
    known = offered()
    recipe = words[0] if words and "=" not in words[0] else ""
    keys: dict[str, list[str]] = known["language" if recipe in known["language_recipes"] else "experiment"]
    key, sign, begun = incomplete.partition("=")
    if sign:
        if key == "display":
            values = list(DISPLAYS)
        elif key in ("resume", "from"):
            values = complete_runs(begun)
        else:
            values = keys.get(key, [])
        return [f"{key}={value}" for value in values if value.startswith(begun)]
    recipes = [] if words else [*known["recipes"], *known["language_recipes"]]
    return [word for word in (*recipes, *TRAIN_KEYS, *(f"{key}=" for key in keys)) if word.startswith(incomplete)]


def offered() -> dict[str, Any]:
    """Recipes and keys, from the cache where it is of this code."""
    stamp = str(max(path.stat().st_mtime_ns for room in ("pipelines", "learners") for path in _sources(room)))
    place = Path(os.environ.get("GUERDON_CACHE", Path.home() / ".cache" / "guerdon")) / "completion.json"
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        if kept["stamp"] == stamp:
            return dict(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    made = {"stamp": stamp, **_read()}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        draft.write_text(json.dumps(made), encoding="utf-8")
        os.replace(draft, place)
    except OSError:
        pass  # it is slower then, and works
    return made


def _sources(room: str) -> Iterator[Path]:
    return (ROOMS / room).rglob("*.py")


def _read() -> dict[str, Any]:
    from pipelines.experiment import Experiment
    from pipelines.language.experiment import LanguageExperiment
    from pipelines.recipes.language import LANGUAGE_RECIPES
    from pipelines.recipes.table import RECIPES

    return {
        "recipes": list(RECIPES),
        "language_recipes": list(LANGUAGE_RECIPES),
        "experiment": keys_of(Experiment),
        "language": keys_of(LanguageExperiment),
    }


def keys_of(model: Any, prefix: str = "", deep: int = 0) -> dict[str, list[str]]:
    """Dotted keys of a settings model, with the values of those that have few."""
    found: dict[str, list[str]] = {}
    for name, field in model.model_fields.items():
        models, values = _parts(field.annotation)
        if models and deep < DEEPEST:
            for one in models:
                for key, told in keys_of(one, f"{prefix}{name}.", deep + 1).items():
                    found[key] = list(dict.fromkeys([*found.get(key, []), *told]))
        if values or not models:
            found[prefix + name] = values
    return found


def _parts(annotation: Any) -> tuple[list[Any], list[str]]:
    """The models that an annotation allows, and the values that it names."""
    if annotation is bool:
        return [], ["true", "false"]
    if hasattr(annotation, "model_fields"):
        return [annotation], []
    if get_origin(annotation) is Literal:
        return [], [str(value) for value in get_args(annotation)]
    if get_origin(annotation) in (dict, list, tuple, set, frozenset):
        return [], []
    models: list[Any] = []
    values: list[str] = []
    for part in get_args(annotation):
        if isinstance(part, type) or get_args(part):
            more, said = _parts(part)
            models += more
            values += said
    return models, values
