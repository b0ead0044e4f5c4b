"""Commands that prepare a cluster: `manifests`."""

from __future__ import annotations

from pathlib import Path

import typer

from pipelines.commands.arguments import Settings, take, with_file

app = typer.Typer()


@app.command()
def manifests(settings: Settings = None) -> None:
    """Write what a cluster needs: Kubernetes (KubeRay), Ray's launcher for AWS and GCP, Dockerfile, dashboard, alerts.

    Keys: to=manifests (directory), settings=FILE (in YAML), and those of cluster/manifests/deployment.py: name, image,
    recipe, overrides=[KEY=VALUE,…], pools=[{name: …, gpu: 1, spot: true}], redis=HOST:PORT, cloud=aws|gcp, …
    """
    from pipelines.manifests import write_manifests
    from pipelines.overrides import parse

    values = with_file(parse(settings or []))
    to = Path(str(take(values, "to", "manifests")))
    print(*write_manifests(values, to), sep="\n")
