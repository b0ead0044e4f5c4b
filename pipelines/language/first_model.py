"""The model that a language run began with, kept in the run's own directory, so that it goes on wherever that is.

A checkpoint holds what was learnt; the tokenizer, the form of the model and what a penalty is measured from are the
first model's. Where that is a folder of this machine (the tiny model, a path), a run with a mirror holds a copy.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pipelines.errors import UserError
from pipelines.run_directory import MIN_FREE_MB, MODELS, RunDirectory

POLICY = "policy"


def keep_model(directory: RunDirectory, model: str) -> None:
    """Copy the folder of a model into a run, whole or not at all; a hub id stays one, and a copy is made once.

    Args:
        directory: of the run; locked by the caller.
        model: a folder or a hub id.

    Raises:
        UserError: the folder cannot be read, or there is no room for it.
    """
    source, home = Path(model), directory.root / MODELS
    if not source.is_dir() or (home / POLICY).is_dir():
        return
    try:
        # Hidden files and folders (.git, drafts of a hub) belong to no model; links are followed, as loaders do.
        files = [path for path in source.iterdir() if path.is_file() and not path.name.startswith(".")]
        needed, free = sum(path.stat().st_size for path in files), shutil.disk_usage(directory.root).free
        if needed + MIN_FREE_MB * 2**20 > free:
            raise UserError(
                f"the model {model} has {needed / 2**20:,.0f} MB, and {free / 2**20:,.0f} MB are free below "
                f"{directory.root}, where a run with storage= keeps it; make room, set runs=DIRECTORY, or leave "
                "storage= out"
            )
        home.mkdir(exist_ok=True)
        for left in home.glob(f".{POLICY}-*"):  # of a process that was killed here
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{POLICY}-", dir=home))
        try:
            for path in files:
                shutil.copyfile(path, draft / path.name)
            draft.chmod(0o755)
            draft.rename(home / POLICY)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"the model {model} cannot be copied into {directory.root}: {error.strerror or error}; mend that, or leave "
            "storage= out"
        ) from None


def model_of(directory: RunDirectory, recorded: str | None) -> str | None:
    """Where the first model of a run is: in the run, or where it was recorded to be."""
    kept = directory.root / MODELS / POLICY
    return str(kept) if kept.is_dir() else recorded
