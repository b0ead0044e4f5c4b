"""Which steps of which rows an item is made of, against cutting episodes by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.replay.config import Config
from learners.replay.replay import Replay


def everything(replay, size=None):
    """All items, oldest first, as lists of the actions in them."""
    sample = replay.sample(replay.next_sample, size or len(replay), 0)
    arrays = replay.gather(sample)
    lines = [line[mask].tolist() for line, mask in zip(arrays["action"], arrays["mask"], strict=True)]
    observed = arrays["observation.x"]
    for line, mask, seen in zip(arrays["action"], arrays["mask"], observed, strict=True):
        there = int(mask.sum())
        assert mask[:there].all() and (line[there:] == 0).all() and (seen[there + 1 :] == 0).all()
        assert (seen[: there + 1] == np.append(line[:there], line[there - 1] + 1)[:, None]).all()
    return lines


def test_a_window_goes_on_in_the_next_row_of_its_episode(schema, build):
    replay = Replay(Config(unit="sequence", length=4), schema)
    replay.insert((0, 0, 0), build((0, 0, 0), (1, 0, 6), (2, 0, 3, True)))
    assert len(replay) == 2  # steps 0 to 3 of one, and all of the other
    replay.insert((0, 0, 1), build((0, 0, 1), (1, 6, 3)))
    assert "rows wait for others" in replay.why_not(4, 0)
    assert everything(replay) == [[1000, 1001, 1002, 1003], [2000, 2001, 2002], [1004, 1005, 1006, 1007]]
    replay.insert((0, 0, 2), build((0, 0, 2), (1, 9, 1, True)))
    assert everything(replay) == [[1008, 1009]]
    replay.check()


def test_a_window_says_how_much_older_its_stored_state_is(schema, build):
    replay = Replay(Config(unit="sequence", length=2), schema)
    replay.insert((0, 0, 0), build((0, 0, 0), (1, 0, 4), (2, 5, 2)))
    arrays = replay.gather(replay.sample(0, 3, 0))
    assert arrays["start"].tolist() == [0, 2, 0]
    assert arrays["initial_state"].tolist() == [[1, 0], [1, 0], [2, 5]]


def test_lines_however_long_are_copied_whole(schema, build):
    replay = Replay(Config(unit="sequence", length=600, sampler="lifo", max_times_sampled=None), schema)
    replay.insert((0, 0, 0), build((0, 0, 0), (1, 0, 1300, True), (2, 0, 600, True)))
    replay.insert((0, 0, 1), build((0, 0, 1), (3, 0, 600, True)))
    arrays = replay.gather(replay.sample(0, 2, 0))  # each line 4,800 bytes of actions, 7,212 of observations
    assert (arrays["action"] == np.add.outer([3000, 2000], np.arange(600))).all()
    assert (arrays["observation.x"][:, :600] == arrays["action"][:, :, None]).all() and arrays["mask"].all()
    arrays = replay.gather(replay.sample(1, 5, 0))  # the last window of the first episode is shorter
    assert arrays["mask"].sum(1).tolist() == [600, 600, 100, 600, 600]
    assert arrays["action"][[0, 1, 2, 3, 4], [599, 599, 99, 599, 599]].tolist() == [3599, 2599, 2299, 2199, 1599]


def test_a_gap_in_an_episode_ends_a_window(schema, build):
    replay = Replay(Config(unit="sequence", length=4), schema)
    replay.insert((0, 0, 0), build((0, 0, 0), (1, 0, 3)))
    replay.insert((0, 0, 2), build((0, 0, 2), (1, 6, 4)))
    assert everything(replay) == [[1000, 1001, 1002], [1006, 1007, 1008, 1009]]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.integers(1, 7), st.data())
def test_windows_cover_an_episode_however_it_is_cut_into_rows(schema, build, length, data):
    stride = data.draw(st.integers(1, length))
    cuts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    replay = Replay(Config(unit="sequence", length=length, stride=stride), schema)
    first = 0
    for sequence, steps in enumerate(cuts):
        key = (0, 0, sequence)
        replay.insert(key, build(key, (0, first, steps, sequence == len(cuts) - 1)))
        first += steps
        replay.check()
    expected, begin = [list(range(min(length, first)))], stride
    while expected[-1][-1] < first - 1:
        expected.append(list(range(begin, min(begin + length, first))))
        begin += stride
    assert everything(replay) == expected
    replay.release(1)
    replay.check()
    assert replay.ledger().live.rows == 0 and replay.ledger().consumed.frames == first


def test_a_group_is_sampled_when_it_is_whole(schema, build):
    replay = Replay(Config(unit="group", group_size=3), schema)
    replay.insert((0, 0, 0), build((0, 0, 0), (1, 0, 2, True, 1), (2, 0, 1, True, 2), (3, 0, 1, True, 1)))
    assert len(replay) == 0 and replay.sample(0, 1, 0) is None
    replay.insert((1, 0, 0), build((1, 0, 0), (4, 0, 2, True, 1), (5, 0, 1, True, 1)))
    assert len(replay) == 1
    sample = replay.sample(0, 1, 0)
    assert replay.gather(sample)["action"].tolist() == [[1000, 1001], [3000, 0], [4000, 4001]]
    assert [rows.num_rows for rows in replay.sample_rows(sample)] == [1, 1, 1]
    names = [rows["row_id"].to_pylist() for rows in replay.sample_rows(sample)]
    assert names == [["0/0/0/0"], ["0/0/0/2"], ["1/0/0/0"]]
    assert [insert.key for insert in replay.inserts(sample)] == [(0, 0, 0), (1, 0, 0)]
    replay.release(1)
    replay.check()
    assert replay.ledger().consumed.rows == 3 and replay.ledger().live.rows == 2


def test_what_never_becomes_whole_makes_room_at_last(schema, build):
    replay = Replay(Config(unit="group", group_size=2, capacity_rows=3), schema)
    for sequence in range(5):
        replay.insert((0, 0, sequence), build((0, 0, sequence), (1, 0, 2, True, sequence)))
        replay.check()
    ledger = replay.ledger()
    assert ledger.live.rows == 3 and ledger.dropped["capacity"].rows == 2 and ledger.balanced
    replay.insert((0, 0, 5), build((0, 0, 5), (2, 0, 2, True, 4)))
    assert len(replay) == 1 and replay.gather(replay.sample(0, 1, 0))["action"].tolist() == [[1000, 1001], [2000, 2001]]


def test_the_length_belongs_to_sequences_alone():
    with pytest.raises(ValueError, match="for unit sequence alone"):
        Config(unit="sequence")
    with pytest.raises(ValueError, match="for unit sequence alone"):
        Config(unit="row", length=3)
    with pytest.raises(ValueError, match="at most the length"):
        Config(unit="sequence", length=3, stride=4)
