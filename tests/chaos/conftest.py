"""Runs of the command line in processes of their own."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.apparatus.live import TINY, LiveRun


@pytest.fixture
def training(tmp_path):
    """Start `guerdon train`: `training("catch", frames=…)`; what is left of it at the end of the test is killed."""
    started = []

    def start(*words: str, **settings: Any) -> LiveRun:
        settings = {key.replace("__", "."): value for key, value in settings.items()}
        known = {} if any(word.startswith("resume=") for word in words) else TINY
        started.append(LiveRun(tmp_path, words, {**known, **settings}))
        return started[-1]

    yield start
    for one in started:
        one.clear()
