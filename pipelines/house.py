"""The start-up check: the folders that are imported are the folders of this checkout.

Guerdon's folders have plain names. Where another folder or package of such a name comes first on Python's path,
that one would be imported in silence; this says so before anything runs.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import UserError

JOB = "GUERDON_JOB"  # set where this checkout was sent to a cluster
FOLDERS = ("actors", "cluster", "envs", "learners", "pipelines", "rewards")
CHECKOUT = Path(__file__).resolve().parents[1]


class HouseError(UserError):
    """A folder of the house resolves to somewhere else."""


def check_house(checkout: Path = CHECKOUT) -> None:
    """See that each folder of the house resolves to `checkout` and to nothing else.

    Raises:
        HouseError: names the intruder and the remedy.
    """
    importlib.invalidate_caches()
    for folder in FOLDERS:
        ours = checkout / folder
        found = places(folder)
        if os.environ.get(JOB) and found[:1] == [ours]:
            continue  # a job brings its own checkout to nodes that may have one: the job's comes first, and is used
        intruders = [place for place in found if place != ours]
        if intruders:
            raise HouseError(
                f"got {intruders[0]} for the name '{folder}'; expected {ours} alone, because Guerdon imports its "
                f"folders by the names they have on disk. Rename {intruders[0]}, uninstall the package that brought "
                "it, or take its folder out of PYTHONPATH and start from another directory"
            )
        if not found:
            raise HouseError(
                f"got nothing for the name '{folder}'; expected {ours}. Start from {checkout}, or install it with "
                "`pip install --no-deps -e .` there"
            )


def places(folder: str) -> list[Path]:
    """Where Python looks for the modules of `folder`, in order; a plain module counts as its file."""
    try:
        spec = find_spec(folder)
    except ValueError:  # a module put into sys.modules by hand has no spec
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin or folder).resolve()]
    # Editable installs add a marker to the path of a namespace that is no folder on disk.
    found = [Path(location).resolve() for location in spec.submodule_search_locations if Path(location).is_dir()]
    return list(dict.fromkeys(found))
