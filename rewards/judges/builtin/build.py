"""`ensure_model`: the directory of the built-in judge's model, built on first use and kept per user.

What it is: a rule book (`rewards/judges/rules.py`) distilled into a language model of some hundred thousand parameters.
It knows NetHack's messages and goals about exploring and descending, gold, combat, avoiding combat and score, and
nothing else; it is no source of knowledge. It exists so that the whole path of a language-model judge (chat template,
next-token scores, soft values, its own mistakes) runs anywhere, without a download. For goals of your own words use a
real model. How often it agrees with the rules on captions it never saw stands in `accuracy.json` beside the weights.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from rewards.judges import prompts, rules
from rewards.judges.builtin import corpus, train
from rewards.judges.builtin.train import Config, OnProgress


def cache_directory() -> Path:
    """Where built models are kept: $GUERDON_CACHE, else guerdon/ in the user's cache directory."""
    if own := os.environ.get("GUERDON_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "guerdon"


def model_directory(config: Config) -> Path:
    """Where the model of this config belongs; the name changes with all code that shapes it."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    for module in (corpus, train, rules, prompts):
        digest.update(Path(str(module.__file__)).read_bytes())
    return cache_directory() / f"builtin-judge-{digest.hexdigest()[:16]}"


def ensure_model(config: Config | None = None, on_progress: OnProgress | None = None) -> Path:
    """The directory of the built-in model, in Hugging Face format; built now if it is not there.

    Processes may call this at once: one builds, the others wait. A build that dies leaves nothing that counts.

    Args:
        config: size and training; by default those that are documented.
        on_progress: called with the fraction done and a line for people while it builds.

    Raises:
        OSError: the cache cannot be written.
    """
    config = config or Config()
    directory = model_directory(config)
    if directory.is_dir():
        return directory
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the built-in judge cannot be kept in {directory.parent} ({error.strerror}): "
            "set GUERDON_CACHE to a directory that you may write"
        ) from error
    with _alone(directory.with_suffix(".lock")):
        if not directory.is_dir():
            _build(directory, config, on_progress)
    return directory


def _build(directory: Path, config: Config, on_progress: OnProgress | None) -> None:
    for left in directory.parent.glob(f".{directory.name}-*"):  # by a build that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(config.threads)
        accuracy = train.train(draft, config, on_progress)
        (draft / "accuracy.json").write_text(json.dumps(asdict(accuracy)) + "\n")
        draft.chmod(0o755)
        draft.rename(directory)
    finally:
        torch.set_num_threads(threads)
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system takes back when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
