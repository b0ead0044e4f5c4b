from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from envs.storage.writers import Ack, Key, Writers

SENT = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9)), max_size=60)


def test_a_number_is_new_once_and_an_older_epoch_is_fenced():
    writers = Writers()
    assert writers.judge(Key(0, 1, 5)) is Ack.STORED
    writers.add(Key(0, 1, 5))
    assert writers.judge(Key(0, 1, 5)) is Ack.DUPLICATE
    assert writers.judge(Key(0, 1, 3)) is Ack.STORED  # late, not twice
    assert writers.judge(Key(0, 0, 9)) is Ack.FENCED
    assert writers.judge(Key(1, 0, 5)) is Ack.STORED


def test_judging_changes_nothing():
    writers = Writers()
    assert writers.judge(Key(0, 0, 0)) is writers.judge(Key(0, 0, 0)) is Ack.STORED
    assert writers.rows() == []


def test_gaps_are_kept_as_ranges_so_that_a_far_jump_costs_nothing():
    writers = Writers()
    for sequence in (0, 10**15, 500):
        writers.add(Key(3, 0, sequence))
    assert writers.rows() == [[3, 0, 10**15 + 1, [[1, 500], [501, 10**15]]]]


@given(SENT)
def test_the_table_agrees_with_a_set_of_all_that_was_stored_also_through_json(sent):
    writers, stored, newest = Writers(), set(), {}
    for key in map(Key._make, sent):
        if key.epoch < newest.get(key.actor, 0):
            expected = Ack.FENCED
        else:
            expected = Ack.DUPLICATE if key in stored else Ack.STORED
        assert writers.judge(key) is expected
        if expected is Ack.STORED:
            writers.add(key)
            stored.add(key)
            newest[key.actor] = key.epoch
        writers = Writers(json.loads(json.dumps(writers.rows())))


@given(SENT)
def test_adding_what_is_known_changes_nothing(sent):
    once, twice = Writers(), Writers()
    for key in map(Key._make, sent):
        once.add(key)
        twice.add(key)
        twice.add(key)
    assert once.rows() == twice.rows()
