"""The benchmark gives every system the same records, and computes its ratios within one repetition."""

import json

import numpy as np
import pytest

from benchmarks import replay_speed
from benchmarks.replay_speed import BATCH, SEQUENCE_BYTES, STEPS, WIDTH, figures, measure, report
from pipelines.errors import UserError


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(replay_speed, "DISTINCT", 64)


@pytest.mark.slow
def test_every_system_of_our_own_gives_whole_batches(tmp_path):
    records = replay_speed.records()
    assert sum(values[0].nbytes for values in records.values()) == SEQUENCE_BYTES
    known = {values.tobytes() for values in records["obs"]}
    for name in ("numpy ring", "guerdon", "guerdon, durable", "guerdon, prioritised"):
        system = replay_speed.SYSTEMS[name](64, tmp_path)
        for _ in range(3):
            system.insert()
        if name == "numpy ring":
            system.insert()
        found, weights = (system.sample(), None) if name == "numpy ring" else system.sample()
        assert found["obs"].shape == (BATCH, STEPS, WIDTH) and found["action"].dtype == np.int64
        assert all(values.tobytes() in known for values in found["obs"])
        assert (weights is not None) == ("prioritised" in name) and (weights is None or weights.shape == (BATCH,))
        system.close()
    for name in ("guerdon, slices", "guerdon, slices, prioritised"):
        slices = replay_speed.SYSTEMS[name](64, tmp_path)
        slices.insert()
        found, weights = slices.sample()
        assert sum(rows.num_rows for rows in found) == BATCH and (weights is not None) == ("prioritised" in name)
        slices.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_measurement_has_speeds_and_says_what_is_not_installed(tmp_path, monkeypatch):
    found = measure("guerdon", 64, 0.01, tmp_path)
    assert found["insert"] > 0 and found["sample"] > 0 and found["allocated"] < BATCH * SEQUENCE_BYTES / 4
    for name in ("disk", "guerdon, durable, kept"):
        kept = measure(name, 64, 0.02, tmp_path)
        assert kept["insert"] > 0 and "sample" not in kept
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(replay_speed.SYSTEMS, "reverb", lambda *_: __import__("no_such_replay"))
    assert measure("reverb", 64, 0.01, tmp_path)["note"] == "not installed: No module named 'no_such_replay'"


def table():
    def row(system, repetition, **numbers):
        return {"system": system, "repetition": repetition, "note": "", **numbers}

    found = []
    for repetition, scale in enumerate((1.0, 2.0)):
        found += [
            row("memcpy", repetition, sample_gb_per_s=10 * scale, insert_gb_per_s=10.0),
            row("guerdon", repetition, sample_gb_per_s=9 * scale, insert_gb_per_s=3.0),
            row("guerdon, durable", repetition, sample_gb_per_s=6 * scale, insert_gb_per_s=2.4),
            row("guerdon, slices", repetition, sample_gb_per_s=30 * scale, insert_gb_per_s=2.4),
            row("guerdon, prioritised", repetition, sample_gb_per_s=8 * scale, insert_gb_per_s=3.0),
            row("guerdon, durable, kept", repetition, sample_gb_per_s=None, insert_gb_per_s=0.9),
            row("disk", repetition, sample_gb_per_s=None, insert_gb_per_s=1.2),
            row("numpy ring", repetition, sample_gb_per_s=12 * scale, insert_gb_per_s=9.0),
            row("cpprb", repetition, sample_gb_per_s=8 * scale, insert_gb_per_s=3.0),
            row("cpprb, prioritised", repetition, sample_gb_per_s=6.4 * scale, insert_gb_per_s=3.0),
            row("torchrl", repetition, sample_gb_per_s=1 * scale, insert_gb_per_s=3.0),
            row("reverb", repetition, sample_gb_per_s=None, insert_gb_per_s=None),
        ]
    return found


def test_ratios_are_of_one_repetition_and_to_the_fastest_peer(tmp_path):
    found = figures(table())
    assert found["sample, over the fastest peer"].value == pytest.approx(1.125)
    assert found["sample, over the fastest peer"].low == pytest.approx(1.125)
    assert found["sample, over the fastest peer, prioritised"].value == pytest.approx(1.25)
    assert found["sample, over a ring of arrays"].value == pytest.approx(0.75)
    assert found["sample, over memcpy, durable"].value == pytest.approx(0.6)
    assert found["insert, over in memory, fsync interval"].value == pytest.approx(0.8)
    assert found["insert, kept, over the disk"].value == pytest.approx(0.75)
    assert found["insert, disk over in memory"].value == pytest.approx(0.4)
    assert found["sample, guerdon"].n == 2 and "sample, reverb" not in found
    assert report(table(), tmp_path).holds
    slow = [{**row, "insert_gb_per_s": 1.0} if row["system"] == "guerdon, durable" else row for row in table()]
    assert not report(slow, tmp_path).holds
    assert json.loads((tmp_path / "replay-speed.json").read_text())["rows"][0]["system"] == "memcpy"


def test_settings_that_nobody_knows_are_refused(tmp_path):
    for words in (["writers=3"], ["only=[slate]"], ["sequences=33"]):
        with pytest.raises(UserError, match="expected what the module says"):
            replay_speed.main([*words, f"work={tmp_path}"])
