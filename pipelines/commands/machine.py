"""`guerdon doctor`: what this machine lacks, and what is open on it."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def doctor(
    security: Annotated[
        bool, typer.Option("--security", help="what is open: ports, tokens, versions with known holes")
    ] = False,
) -> None:
    """Look at this machine, and say what to install; with --security, what is open and how to close it."""
    from pipelines.machines.doctor import diagnose, print_findings

    if security:
        from pipelines.machines.security import audit

        raise typer.Exit(print_findings(audit()))
    raise typer.Exit(print_findings(diagnose()))
