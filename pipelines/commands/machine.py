"""`guerdon doctor`: what this machine lacks."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def doctor() -> None:
    """Look at this machine, and say what to install."""
    from pipelines.doctor import diagnose, print_findings

    raise typer.Exit(print_findings(diagnose()))
