"""A run directory of a few files, and a place to mirror it."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from pipelines import checkpoint
from pipelines.mirror.opening import open_mirror
from pipelines.run_directory import RunDirectory


@pytest.fixture
def begun(tmp_path):
    """A run with a checkpoint: `begun(runs, name)`."""

    def make(runs: Path = tmp_path / "here", name: str = "mine", value: int = 1) -> RunDirectory:
        directory = RunDirectory(runs / name)
        directory.root.mkdir(parents=True)
        directory.config.write_text("name: mine\n")
        directory.append_line(directory.metrics, {"value": value})
        checkpoint.save(directory.checkpoints, value, {"value": value})
        return directory

    return make


@pytest.fixture
def mirrored():
    """Mirror a run as it is now, from claim to end: `mirrored(uri, directory)`."""

    def make(uri: str, directory: RunDirectory, wait_s: float = 250.0) -> None:
        assert open_mirror(uri, directory).close(wait_s) is None

    return make


@pytest.fixture(params=["folder", "file", "dir", "memory"])
def uri(request, tmp_path):
    """One place of each kind that fsspec reaches without a server."""
    folder = tmp_path / "there"
    if request.param == "memory":
        files = fsspec.filesystem("memory")
        files.store.clear()
        files.pseudo_dirs[:] = [""]
        return "memory://bucket/runs"
    return {"folder": f"{folder}", "file": f"file://{folder}", "dir": f"dir::file://{folder}"}[request.param]
