"""The models that a language run began with, kept in the run's own directory, so that it goes on wherever that is.

A checkpoint holds what was learnt; the tokenizer, the form of the model and what a penalty is measured from are the
first model's, and the judge has models and a rubric of its own. Where these are folders and files of this machine (the
tiny model, a reward model that was trained here, a path), a run with a mirror holds copies.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipelines.errors import UserError
from pipelines.judging.rubric_judges import ModelConfig, RewardModelJudge, RubricJudge, ServedModel
from pipelines.run_directory import MIN_FREE_MB, MODELS, RunDirectory

POLICY = "policy"

AnyJudge = TypeVar("AnyJudge", RewardModelJudge, RubricJudge, RewardModelJudge | RubricJudge | None)


def keep_model(directory: RunDirectory, model: str, name: str = POLICY) -> None:
    """Copy the folder of a model into a run, whole or not at all; a hub id stays one, and a copy is made once.

    Args:
        directory: of the run; locked by the caller.
        model: a folder, a file, or a hub id.
        name: of the copy.

    Raises:
        UserError: the folder cannot be read, or there is no room for it.
    """
    source, home = Path(model), directory.root / MODELS
    if not source.exists() or (home / name).is_dir():
        return
    try:
        # Hidden files and folders (.git, drafts of a hub) belong to no model; links are followed, as loaders do.
        found = source.iterdir() if source.is_dir() else [source]
        files = [path for path in found if path.is_file() and not path.name.startswith(".")]
        needed, free = sum(path.stat().st_size for path in files), shutil.disk_usage(directory.root).free
        if needed + MIN_FREE_MB * 2**20 > free:
            raise UserError(
                f"the model {model} has {needed / 2**20:,.0f} MB, and {free / 2**20:,.0f} MB are free below "
                f"{directory.root}, where a run with storage= keeps it; make room, set runs=DIRECTORY, or leave "
                "storage= out"
            )
        home.mkdir(exist_ok=True)
        for left in home.glob(f".{name}-*"):  # of a process that was killed here
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
        try:
            for path in files:
                shutil.copyfile(path, draft / path.name)
            draft.chmod(0o755)
            draft.rename(home / name)
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


def keep_judge(directory: RunDirectory, judge: RewardModelJudge | RubricJudge | None) -> None:
    """Copy what a judge reads into a run: its models, and its rubric; see `keep_model`.

    Raises:
        UserError: something cannot be read, or there is no room for it.
    """

    def kept(path: str) -> str:
        keep_model(directory, path, _name_of(path))
        return path

    _placed(judge, kept)


def judge_of(directory: RunDirectory, judge: AnyJudge) -> AnyJudge:
    """The judge of a run, with its models and rubric where they are: in the run, or where they were recorded to be."""

    def found(path: str) -> str:
        kept = directory.root / MODELS / _name_of(path)
        if not kept.is_dir():
            return path
        file = kept / Path(path).name
        return str(file if file.is_file() else kept)

    return _placed(judge, found)


def _name_of(path: str) -> str:
    return f"judge-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _placed(judge: AnyJudge, at: Callable[[str], str]) -> AnyJudge:
    """The judge with each of its paths, and names of models that may be paths, as `at` says."""
    if judge is None:
        return None
    if isinstance(judge, RewardModelJudge):
        return judge.model_copy(update={"model": at(judge.model)})

    def moved(model: ModelConfig) -> ModelConfig:
        return model if isinstance(model, ServedModel) else model.model_copy(update={"model": at(model.model)})

    return judge.model_copy(
        update={
            "path": at(judge.path),
            "model": None if judge.model is None else moved(judge.model),
            "models": {name: moved(model) for name, model in judge.models.items()},
            "judges": {name: _placed(one, at) for name, one in judge.judges.items()},
        }
    )
