"""Admission: how far actors may run ahead, through restarts too."""

from collections import deque

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.admission import Admission, Config
from learners.replay.config import Config as ReplayConfig
from learners.replay.replay import Replay


def begun(admission):
    count = 0
    while admission.admit():
        admission.started()
        count += 1
    return count


def test_capacity_by_hand():
    # (1 + 0 + 1) · 3 = 6 fragments before the first update, of which 4 at a time
    admission = Admission(Config(batch=3, max_staleness=1, concurrency=4))
    assert begun(admission) == 4
    for _ in range(3):
        admission.finished()
    assert admission.capacity == 2 and begun(admission) == 2
    assert admission.accepted == 3 and admission.running == 3
    admission.on_version(1)
    assert begun(admission) == 1  # four running
    for _ in range(4):
        admission.finished()
    assert begun(admission) == 2  # 9 - 7


def test_with_staleness_zero_actors_wait_for_every_update():
    admission = Admission(Config(batch=2, max_staleness=0, concurrency=8))
    assert begun(admission) == 2
    admission.finished()
    admission.finished()
    assert not admission.admit()
    admission.on_version(1)
    assert begun(admission) == 2


def test_what_is_lost_or_dropped_makes_room():
    admission = Admission(Config(batch=2, max_staleness=0, concurrency=8))
    begun(admission)
    admission.lost()
    assert begun(admission) == 1
    admission.finished()
    admission.dropped(1)
    assert begun(admission) == 1
    assert (admission.accepted, admission.running) == (0, 2)


def test_after_a_resume_the_counter_is_right():
    config = Config(batch=4, max_staleness=1, concurrency=100)
    admission = Admission(config)
    for version in range(1, 11):
        begun(admission)
        while admission.running:
            admission.finished()
        admission.on_version(version)
    assert admission.accepted == 44 and admission.version == 10  # 4 wait, of 8 that may
    begun(admission)
    resumed = Admission(config)
    resumed.load_state_dict(admission.state_dict())
    assert resumed.running == 0 and resumed.accepted == 44
    assert begun(resumed) == 4  # and not 4 · 10 too many
    emptied = Admission(config)
    emptied.load_state_dict(admission.state_dict())
    emptied.dropped(4)
    assert begun(emptied) == 8


def test_a_resume_with_another_batch_size_keeps_what_waits():
    admission = Admission(Config(batch=2, max_staleness=0, concurrency=9))
    admission.load_state_dict({"version": 50, "waiting": 1})
    larger = Admission(Config(batch=8, max_staleness=0, concurrency=100))
    larger.load_state_dict(admission.state_dict())
    assert begun(larger) == 7


def test_misuse_is_refused():
    admission = Admission(Config(batch=1, max_staleness=0, concurrency=1))
    with pytest.raises(RuntimeError, match="not running"):
        admission.finished()
    admission.started()
    with pytest.raises(RuntimeError, match="expected to wait"):
        admission.started()
    with pytest.raises(ValueError, match="expected 0 to 0"):
        admission.dropped(1)
    admission.on_version(3)
    with pytest.raises(ValueError, match="versions to rise"):
        admission.on_version(2)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    batch=st.integers(1, 4),
    max_staleness=st.integers(0, 3),
    concurrency=st.integers(1, 8),
    in_order=st.booleans(),
    choices=st.lists(st.tuples(st.sampled_from("sfltr"), st.integers(0, 7)), max_size=120),
)
def test_staleness_when_consumed_never_exceeds_the_bound(batch, max_staleness, concurrency, in_order, choices):
    """Start, finish, lose, train and restart in any order.

    Finished in the order begun, the bound holds by admission alone and nothing is dropped; out of order, the replay
    drops stragglers. In both cases work never stops for good: something runs, or a batch waits, or more may begin.
    """
    admission = Admission(Config(batch=batch, max_staleness=max_staleness, concurrency=concurrency))
    rows = pa.record_batch({"step": pa.array([0])})
    replay = Replay(ReplayConfig(capacity=100, max_staleness=max_staleness), rows.schema)
    running, version, sequence, epoch, consumed = deque(), 0, 0, 0, []

    def train():
        nonlocal version
        before = replay.dropped_fragments
        sample = replay.sample(replay.next_sample, batch, version)
        admission.dropped(replay.dropped_fragments - before)
        if sample is not None:
            consumed.extend(version - insert.policy_version for insert in replay.inserts(sample))
            replay.release(replay.next_sample)
            version += 1
            admission.on_version(version)

    for choice, which in choices:
        if choice == "s" and admission.admit():
            admission.started()
            running.append(version)
        elif choice in "fl" and running:
            which = 0 if in_order else which % len(running)
            acted = running[which]
            del running[which]
            if choice == "l":
                admission.lost()
            else:
                replay.insert((0, epoch, sequence), rows, acted)
                sequence += 1
                admission.finished()
        elif choice == "t":
            train()
        elif choice == "r":
            state = admission.state_dict()
            admission = Admission(admission.config)
            admission.load_state_dict(state)
            running.clear()
            epoch, sequence = epoch + 1, 0
        assert len(running) == admission.running <= concurrency
        assert admission.accepted == len(replay) + version * batch
        assert len(replay) + len(running) <= (max_staleness + 1) * batch
    assert all(staleness <= max_staleness for staleness in consumed)
    if in_order:
        assert replay.dropped_fragments == 0
    while running:
        admission.finished()
        replay.insert((0, epoch, sequence), rows, running.popleft())
        sequence += 1
    train()
    assert admission.admit() or not replay.why_not(batch, version)
