"""What every test shares: one thread per process, no network, and an order in which the fast tests come first."""

from __future__ import annotations

import gc
import os
import secrets
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Set before the libraries that read them are imported; child processes inherit them.
SETTINGS = {
    "OMP_NUM_THREADS": "1",  # many small tests on few cores: threads only get in each other's way
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",  # no test needs the network, and none may come to need it unseen
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns of its own coming default
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.1",  # applications come and go faster, and tests have many
    # Ray reads both once in a process, at its import: no test can change them for another that starts a Ray here.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

# Timings on a shared machine say nothing, so no deadline; the same examples on every run, so that a failure repeats.
hypothesis.settings.register_profile("guerdon", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("quick", parent=hypothesis.settings.get_profile("guerdon"), max_examples=20)
hypothesis.settings.load_profile("guerdon")

STAGES = ("slow", "cluster", "chaos", "learning")
"""Markers in the order in which their tests run, after those without any."""

RAY_S = 1500
"""How long a test with Ray may take: its processes start in seconds, and in minutes where others are busy."""

LONG_S = 900
"""Tests that may take so long are begun first where several workers share the tests."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests keep the small models that they build, for all of them and for all workers."""
    mine = tmp_path_factory.getbasetemp()
    return (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "models"


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How transformers draws bars, switched on whatever the environment says."""
    import huggingface_hub.utils.tqdm  # noqa: F401  # its parent has a class of that name
    from transformers.utils import logging

    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(logging, "_tqdm_active", True)
    return logging


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, nor ever at what their modules hold: a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the fast tests first, so that a mistake shows in seconds; within a stage those that may take longest.

    What takes minutes and comes last keeps one worker busy while the others have nothing left to do: where there are
    several, it begins at once. Tests with Ray may take longer than pytest's own timeout, where they do not say it
    themselves.
    """
    several = "PYTEST_XDIST_WORKER" in os.environ

    def order(item: pytest.Item) -> tuple[int, float]:
        stage = max((k for k, marker in enumerate(STAGES, start=1) if item.get_closest_marker(marker)), default=0)
        limit = item.get_closest_marker("timeout")
        seconds = float(limit.args[0]) if limit else 0.0
        return (0 if several and seconds >= LONG_S else stage), -seconds

    items.sort(key=order)
    for item in items:
        with_ray = item.get_closest_marker("cluster") or item.get_closest_marker("chaos")
        if with_ray and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(RAY_S))
