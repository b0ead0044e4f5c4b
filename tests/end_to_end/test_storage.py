"""A run whose machine is lost goes on elsewhere, from its mirror alone, at the frontier of its last checkpoint."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pytest

from benchmarks.apparatus.live import PATIENCE_S, TINY, LiveRun
from pipelines import checkpoint
from pipelines.mirror.reading import look
from pipelines.mirror.records import ForeignMirror, TornMirror
from pipelines.mirror.remote import Remote
from pipelines.stored.stored_experience import stored_verdicts


def plain(tree):
    """A checkpoint in a form that can be compared."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(value) for value in tree]
    return np.asarray(tree).tobytes() if hasattr(tree, "shape") else tree


@pytest.mark.parametrize(
    "runner", [pytest.param("local", marks=pytest.mark.slow), pytest.param("distributed", marks=pytest.mark.cluster)]
)
def test_a_killed_run_goes_on_from_its_mirror_in_another_place(runner, tmp_path):
    storage = f"file://{tmp_path}/bucket"
    kept = {"runner": runner, "storage": storage, "checkpoint.keep": 1000}
    first = LiveRun(tmp_path, ["catch", "run=mine"], {**TINY, **kept, "frames": 10**7})
    place = Remote(storage) / "mine"

    def mirrored():
        try:
            standing = look(place)
        except (ForeignMirror, TornMirror, OSError):  # it is being written just now
            return 0
        if standing is None or standing.manifest is None:
            return 0
        saved = (path.split("/")[1] for path in standing.manifest.files if path.startswith("checkpoints/"))
        return max(map(int, saved), default=0)

    try:
        first.until(lambda: mirrored() > 100, PATIENCE_S, "checkpoint after some updates in the mirror")
        os.killpg(first.process.pid, signal.SIGKILL)
    finally:
        first.clear()
    newest = f"{mirrored():09d}"
    tree = checkpoint._read(first.directory.checkpoints / newest)
    frames, expected = tree["status"]["learnt_frames"], plain(tree)
    shutil.rmtree(first.directory.root)  # the machine is gone

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    going_on = ["catch", "run=mine"] if runner == "distributed" else [f"resume={storage}/mine"]
    settings = {**TINY, **kept} if runner == "distributed" else {}
    second = LiveRun(elsewhere, going_on, {**settings, "frames": frames + 600})
    try:
        assert second.wait() == 0, second.output
    finally:
        second.clear()
    found = second.directory
    assert found.root == elsewhere / "runs" / "mine"
    assert [e["cause"] for e in second.events if e["what"] == "resumed"] == [f"at {frames} frames"]
    assert plain(checkpoint._read(found.checkpoints / newest)) == expected
    assert second.ledger["balanced"] and second.tree["status"]["learnt_frames"] >= frames + 600
    verdicts = [verdict.subject for verdict in stored_verdicts(found)]
    assert len(verdicts) == len(set(verdicts)) > 0
    last = look(place)
    assert last.claim.generation == 2
    final = f"checkpoints/{checkpoint.numbers(found.checkpoints)[-1]:09d}/tree.json"
    assert {final, "report.html", "ledger.json"} <= set(last.manifest.files)
