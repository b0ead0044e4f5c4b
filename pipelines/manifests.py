"""`guerdon manifests`: writes what a cluster needs, from one description, with the versions of constraints.txt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cluster.manifests.deployment import Deployment
from cluster.manifests.files import manifest_files
from pipelines.errors import UserError
from pipelines.language.stored import resolve_language
from pipelines.observing.alerts import rules
from pipelines.observing.dashboard import dashboard
from pipelines.overrides import apply, explain, parse
from pipelines.recipes.table import find_recipe

HOUSE = Path(__file__).resolve().parents[1]
LISTING = ".guerdon-files"  # of what was written, so that nothing of an older description is applied with the new
FILE = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")
TESTED_PYTHON = re.compile(r"with Python (3\.\d+)")


def tested_versions(constraints: str) -> dict[str, str]:
    """Versions of Ray and Python that a constraints file is for.

    Raises:
        UserError: it does not say.
    """
    ray, python = re.search(r"^ray==(\d+\.\d+\.\d+)$", constraints, re.M), TESTED_PYTHON.search(constraints)
    if ray is None or python is None:
        raise UserError("constraints.txt does not say which Ray and which Python it is for; expected ray==… in it")
    return {"ray_version": ray[1], "python_version": python[1]}


def deployment_of(values: Mapping[str, Any]) -> Deployment:
    """The description that some settings make.

    Raises:
        UserError: a setting is unknown or cannot be, or names a version that the image would not have.
    """
    versions = tested_versions((HOUSE / "constraints.txt").read_text(encoding="utf-8"))
    for name, version in versions.items():
        if str(values.get(name, version)) != version:
            raise UserError(
                f"{name}: got {values[name]}; expected that of constraints.txt, which has {version}: change it there"
            )
    try:
        found = Deployment.model_validate({**values, **versions})
    except ValidationError as error:
        raise UserError(explain(error)) from None
    check_training(found)
    return found


def check_training(deployment: Deployment) -> None:
    """Refuse a recipe or an override that `guerdon train` would refuse on the cluster.

    Raises:
        UserError: says which.
    """
    values = parse(deployment.overrides)
    if "ray.address" in values:
        raise UserError("overrides: got ray.address; a run is on the cluster that these manifests make: leave it out")
    if resolve_language(deployment.recipe, values, HOUSE, None) is None:
        apply(find_recipe(deployment.recipe), values)


def _written_before(to: Path) -> set[str]:
    """Names that an earlier call wrote below a directory, as far as they are files within it."""
    try:
        names = (to / LISTING).read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {name for name in names if FILE.fullmatch(name) and not (to / name).is_symlink() and (to / name).is_file()}


def write_manifests(values: Mapping[str, Any], to: Path) -> list[Path]:
    """Write every manifest below a directory, and delete those that an earlier call left there; gives what was written.

    Raises:
        UserError: the description is wrong, or the directory cannot be written or holds something else.
    """
    files = manifest_files(deployment_of(values), rules(), dashboard())
    if to.exists() and any(to.iterdir() if to.is_dir() else [to]) and not (to / "deployment.yaml").is_file():
        raise UserError(f"to={to} is there and was not written by this command; expected a new directory")
    written, before = [], _written_before(to)
    try:
        for name, text in sorted(files.items()):
            path = to / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        for name in before - set(files):
            (to / name).unlink(missing_ok=True)
        (to / LISTING).write_text("\n".join(sorted(files)) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {to}: {error.strerror}; set to=DIRECTORY") from None
    return written
