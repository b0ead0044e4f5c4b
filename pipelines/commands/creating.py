"""The command that begins something of one's own: `new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import Settings, known
from pipelines.commands.completion import complete_kinds

app = typer.Typer()


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="env, reward, judge or recipe", autocompletion=complete_kinds)],
    name: Annotated[str, typer.Argument(help="PACKAGE.NAME, such as my_lab.mazes")],
    settings: Settings = None,
) -> None:
    """Write a skeleton that works, with its test, into a package of your own; nothing is written over.

    Keys: in=DIRECTORY (that holds the package; default: this one).
    """
    from pipelines.overrides import parse
    from pipelines.skeletons.writing import write_skeleton

    values = known(parse(settings or []), **{"in": "."})
    written, command = write_skeleton(kind, name, Path(values["in"]))
    for path in written:
        print(f"wrote   {path}")
    root = written[0].parent.parent
    print(f"test    cd {root} && PYTHONPATH=. python -m pytest --import-mode=importlib {root / name.split('.')[0]}")
    print(f"use     PYTHONPATH={root} {command}")
