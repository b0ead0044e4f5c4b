"""What commands have in common: words, `key=value`, and the run that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.run_directory import RunDirectory

Settings = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="the keys named above")]
RUNS = "runs"


def split(words: list[str] | None) -> tuple[str | None, list[str]]:
    """A leading recipe name, if there is one, and the rest."""
    words = list(words or [])
    if words and "=" not in words[0]:
        return words[0], words[1:]
    return None, words


def run_and_settings(run: str, settings: list[str] | None) -> tuple[str, list[str]]:
    """The run that is meant: the last one, where the first word is a setting."""
    return ("last", [run, *(settings or [])]) if "=" in run else (run, settings or [])


def run_and_values(
    run: str, settings: list[str] | None, texts: tuple[str, ...] = ()
) -> tuple[RunDirectory, dict[str, Any]]:
    """The run that is meant, and the other settings, of which some are texts and taken as they are typed."""
    from pipelines.overrides import parse
    from pipelines.run_directory import RunDirectory

    run, settings = run_and_settings(run, settings)
    values = parse(settings, (RUNS, *texts))
    return RunDirectory.existing(run, Path(str(take(values, "runs", RUNS)))), values


def take(values: dict[str, Any], key: str, default: Any) -> Any:
    """A value and its key out of the values, or the default."""
    return values.pop(key, default)


def with_file(values: dict[str, Any]) -> dict[str, Any]:
    """Values, over those of the file that `settings` names."""
    from pipelines.overrides import read_settings

    file = take(values, "settings", None)
    return values if file is None else {**read_settings(Path(str(file))), **values}


def own_keys(words: list[str], **defaults: Any) -> tuple[dict[str, Any], list[str]]:
    """A command's own keys over their defaults, and the other words."""
    from pipelines.overrides import parse

    mine = [word for word in words if word.partition("=")[0] in defaults]
    values = {
        key: float(value) if isinstance(defaults[key], float) and type(value) is int else value
        for key, value in parse(mine, [key for key, default in defaults.items() if isinstance(default, str)]).items()
    }
    return known(values, **defaults), [word for word in words if word not in mine]


def known(values: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Values over defaults, of the defaults' types.

    Raises:
        UserError: a key is unknown or a value of another type.
    """
    for key, value in values.items():
        if key not in defaults:
            raise UserError(f"unknown key {key!r}; expected one of {', '.join(defaults)}, runs")
        expected = type(defaults[key])
        if expected is str:
            values[key] = str(value)
        elif type(value) is not expected:
            raise UserError(f"{key}: got {value!r}; expected a value like {defaults[key]!r}")
    return {**defaults, **values}
