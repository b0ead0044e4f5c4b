"""What is kept of the frames per second when a judge is on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.annotation_retention import SHARES, Pair, Window, report, windows
from benchmarks.apparatus.share_captions import SharedCaptions
from envs.timestep import restart
from pipelines.results import read_result


def test_what_was_asked_is_a_share_of_all_that_was_seen():
    before = {"frames": 1000.0, "learnt_frames": 900.0, "awake_s": 10.0}
    after = {"frames": 5050.0, "learnt_frames": 4900.0, "awake_s": 30.0, "judge/asked": 5.0}
    (found,) = windows([before, after])
    assert found.frames_per_s == 200.0
    assert found.asked_share == pytest.approx(5 / 5050)
    assert found.annotated_share is None  # not known is not zero


@pytest.mark.parametrize(("rates", "holds"), [((90.0, 95.0, 100.0), True), ((90.0, 60.0, 100.0), False)])
def test_the_claim_is_computed_from_the_lower_end(tmp_path, rates, holds):
    off = Window(100.0, 5000, 0, None, None)
    pairs = [Pair("ranking", n, off, Window(rate, 4000, 40, 0.5, 1.0)) for n, rate in enumerate(rates)]
    assert report(pairs, "rules", "nethack-score", "python -m x", tmp_path).holds is holds
    result = read_result(tmp_path / "annotation-retention.json")
    assert result.figures["retention, ranking"].value == pytest.approx(sum(rates) / 300)
    assert result.figures["asked, ranking"].value == pytest.approx(0.01)
    assert len(result.rows) == 3


def test_more_is_wanted_where_less_is_asked():
    off, on = Window(100.0, 5000, 0, None, None), Window(90.0, 4000, 40, 0.5, 1.0)
    few, many = (Pair("ranking", 0, off, on, share) for share in SHARES)
    assert few.retention < few.enough and many.retention > many.enough
    assert (few.name, many.name) == ("ranking at 0.04%", "ranking at 4.00%")


def test_captions_are_new_at_the_share_that_was_asked_for():
    """Of 1000 steps at 4 % 40 are new; all others are among a few old ones."""
    step = restart({"message": np.frombuffer(b"You see here a key.".ljust(256, b"\0"), np.uint8)})
    captioner = SharedCaptions(0.04)
    captioner.reset(step)
    said = [captioner.caption(step) for _ in range(1000)]
    new = [text for text in said if "turn" in text]
    assert abs(len(new) - 40) <= 1 and len(set(new)) == len(new)
    assert len(set(said) - set(new)) == 1
