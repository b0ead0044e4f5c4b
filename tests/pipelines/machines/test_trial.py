"""What a trial says of a window, and what the profile makes of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rich.console import Console

from pipelines.machines.profile import headline, page, stage_rows, tables
from pipelines.machines.trial import Spent, compared, just_moved, last_words
from pipelines.stages import Stages


def line(elapsed_s, learnt, **seconds):
    stages = {f"seconds/{name}": value for name, value in seconds.items()}
    return {"elapsed_s": elapsed_s, "learnt_frames": learnt, "learner/policy_lag_mean": 1.5, **stages}


def seen():
    # 2000 frames in 4 s: 500 frames/s. Stepping took 0.5 s of it: 250 µs a frame.
    opens, closes = line(10.0, 1000, step=1.0), line(14.0, 3000, step=1.5, forward=0.2)
    before = {1: Spent("env-actor-0", 5.0, 100.0, 50.0), 2: Spent("learner", 1.0, 300.0, 90.0)}
    after = {
        1: Spent("env-actor-0", 8.0, 110.0, 60.0),
        2: Spent("learner", 2.0, 310.0, 95.0),
        3: Spent("ray", 0.5, 50.0, 40.0),
    }
    return compared(opens, closes, before, after)


def test_a_window_worked_by_hand():
    found = seen()
    assert found.frames_per_s == 500.0 and found.window_s == 4.0
    assert found.stages == pytest.approx({"step": 250.0, "forward": 100.0})
    assert found.processors == pytest.approx({"env-actor-0": 1500.0, "learner": 500.0, "ray": 250.0})
    assert found.memory_mb == {"env-actor-0": 110.0, "learner": 310.0, "ray": 50.0}
    assert found.own_mb == {"env-actor-0": 60.0, "learner": 95.0, "ray": 40.0}
    assert found.weight_age == 1.5 and found.began["learnt_frames"] == 1000


def test_a_window_begins_where_the_learner_has_just_moved():
    lines = [line(second, learnt) for second, learnt in [(1, 100), (2, 200), (3, 200), (4, 200), (5, 300), (6, 400)]]

    def found(at_s):
        return [one["elapsed_s"] for before, one in pairwise([None, *lines]) if just_moved(at_s)(before, one)]

    assert found(1.0) == [2, 5, 6] and found(2.5) == found(5.0) == [5, 6] and found(6.5) == []


def test_stages_are_told_in_the_order_of_a_frames_way():
    rows = stage_rows({"forward": 2.0, "something new": 1.0, "step": 3.0})
    assert [row[0] for row in rows] == ["step", "forward", "something new"]


def test_table_and_page_say_what_was_seen_and_escape_what_was_asked():
    console = Console(record=True, width=120)
    for table in tables(seen()):
        console.print(table)
    text = console.export_text()
    assert "250.00" in text and "env-actor-0" in text and "67%" in text
    html = page('catch name="<b>"', seen())
    assert "<b>" not in html and "<svg" in html and headline(seen()) in html and "500 frames/s" in html


def test_stages_add_up_and_begin_again_when_they_are_taken():
    one, other = Stages(), Stages()
    for _ in range(2):
        with one("forward"):
            pass
    with other("copy"):
        pass
    taken = one.taken(other)
    assert taken.keys() == {"seconds_forward", "seconds_copy"} and all(value >= 0 for value in taken.values())
    assert one.taken(other) == {}


def test_a_stage_that_fails_is_counted_too():
    stages = Stages()
    with pytest.raises(RuntimeError), stages("forward"):
        raise RuntimeError
    assert "seconds_forward" in stages.taken()


def test_of_words_with_the_same_key_the_last_counts():
    assert last_words(["frames=9", "catch", "seed=1", "frames=3"]) == ["frames=3", "catch", "seed=1"]
