"""A run from its mirror: brought to this machine whole, or not at all.

Each file is checked before the folder gets its name; so what has a run's name is a run. Where the copy on this machine
is older than the mirror, because another machine went on, it is moved aside and not deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.jobs.continuation import move_aside, when_let_go
from pipelines.mirror.identity import Own, read_own, write_own
from pipelines.mirror.reading import Standing, look
from pipelines.mirror.records import ForeignMirror, Kept, Manifest, TornMirror
from pipelines.mirror.remote import Remote, one_line
from pipelines.run_directory import MIN_FREE_MB, NAME, RunDirectory


def split_uri(text: str) -> tuple[str, str] | None:
    """Storage and name of the run, where a run is named by its place there, `s3://bucket/runs/NAME`; else None."""
    if "://" not in text and "::" not in text and not (Path(text) / "mirror.json").is_file():
        return None
    storage, _, name = text.rstrip("/").rpartition("/")
    return storage, name


def gone_on_with(
    runs: Path, resume: str | None, name: str | None, storage: str | None, say: Callable[[str], None]
) -> tuple[str | None, str | None]:
    """What `resume=`, `run=` and `storage=` mean together; gives `resume` and `storage` once what they name is here.

    Raises:
        UserError: there is nothing where they point, or it cannot be gone on with.
    """
    if resume is not None and (place := split_uri(resume)) is not None:
        if storage is not None and storage.rstrip("/") != place[0]:
            raise UserError(f"got resume={resume} and storage={storage}; a run goes on in the mirror that it came from")
        if not bring(runs, place[1], place[0], say) and not (runs / place[1]).is_dir():
            raise UserError(f"there is no run at {resume}; expected the mirror of one, STORAGE/NAME")
        return str(runs / place[1]), place[0]
    if storage is not None and name is not None:
        bring(runs, name, storage, say)
    elif storage is not None and resume is not None and resume != "last":
        here = Path(resume) if "/" in resume else runs / resume
        bring(here.parent, here.name, storage, say)
    return resume, storage


def bring(runs: Path, name: str, storage: str, say: Callable[[str], None]) -> bool:
    """Have the newest state of a run on this machine; gives whether it was fetched.

    Nothing is done where the mirror holds nothing, or nothing that is newer.

    Args:
        runs: folder of runs.
        name: of the run.
        storage: URI of the folder in which the mirror is.
        say: told what happens.

    Raises:
        UserError: the mirror is torn or of another run, or the storage does not answer.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"got run {name!r}; expected letters, digits, '.', '_' and '-'")
    place = Remote(storage) / name
    try:
        standing = look(place)
        if standing is None or standing.manifest is None:
            return False
        root = runs / name
        if (root / "mirror.json").is_file():
            raise UserError(f"{root} is a mirror, and no run; give runs= and storage= folders of their own")
        if root.exists():
            with when_let_go(root) as directory:
                if not _is_older(directory, standing, place.uri):
                    return False
                aside = move_aside(root, "superseded")
            say(f"another machine went on with {name}: what is here is now {aside}")
        for problem in standing.passed_over:
            say(f"{place.uri}: passed over, {problem}")
        say(f"fetching {name} from {place.uri}")
        _fetch(place, standing, runs, root)
    except (TornMirror, ForeignMirror) as error:
        raise UserError(
            f"{place.uri} cannot be gone on with: {error}; give the storage= of a whole mirror, or leave it out to "
            "begin anew"
        ) from None
    except OSError as error:
        raise UserError(f"storage={storage} does not answer: {one_line(error)}; mend it, and try again") from None
    return True


def _is_older(directory: RunDirectory, standing: Standing, uri: str) -> bool:
    """Whether a copy on this machine is to make way for what its mirror holds.

    Raises:
        UserError: the mirror is that of another run.
    """
    if not directory.config.is_file() or not checkpoint.numbers(directory.checkpoints):
        return True  # it never got as far as a checkpoint
    own = read_own(directory)
    if own is None or own.ident != standing.ident:
        raise UserError(
            f"{directory.root} is here, and {uri} is the mirror of another run of this name; give another run=NAME or "
            "storage="
        )
    return not own.is_newest(standing)


def _fetch(place: Remote, standing: Standing, runs: Path, root: Path) -> None:
    manifest, claim = standing.manifest, standing.claim
    assert manifest is not None and claim is not None
    try:
        runs.mkdir(parents=True, exist_ok=True)
        needed, free = sum(kept.stored for kept in manifest.files.values()), shutil.disk_usage(runs).free
        if needed + MIN_FREE_MB * 2**20 > free:
            raise UserError(
                f"{place.uri} holds {needed / 2**20:,.0f} MB, and {free / 2**20:,.0f} MB are free below {runs}; make "
                "room or set runs=DIRECTORY"
            )
        folder = Path(tempfile.mkdtemp(prefix=f".{root.name}.fetching-", dir=runs))
    except OSError as error:  # of this machine, and not of the storage
        raise UserError(f"cannot make a run directory below {runs}: {error.strerror}; set runs=DIRECTORY") from None
    try:
        _fetch_files(place, manifest, folder)
        directory = RunDirectory(folder)
        if not directory.config.is_file() or not checkpoint.numbers(directory.checkpoints):
            raise TornMirror(f"{manifest.path} names no config.yaml with a checkpoint")
        write_own(directory, Own(standing.ident, claim.generation, claim.nonce, manifest.path))
        folder.chmod(0o777 & ~_umask())
        os.rename(folder, root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch_files(place: Remote, manifest: Manifest, folder: Path) -> None:
    for path, kept in manifest.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if (size := place.size(kept.path)) != kept.stored:
                raise TornMirror(f"{path} has {size} bytes of {kept.stored} ({kept.path})")
            place.fetch(kept.path, target, kept.stored)
        except FileNotFoundError:
            raise TornMirror(f"{path} is missing ({kept.path})") from None
        _check(path, target, kept)
        os.truncate(target, kept.size)


def _check(path: str, target: Path, kept: Kept) -> None:
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    if digest.hexdigest() != kept.sha256:
        raise TornMirror(f"{path} is not what was written: SHA-256 differs ({kept.path})")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
