"""The replay's promises: once in, once out, in order, nothing too old, and books that balance."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.replay import Ack, Config, Count, Replay


def insert(replay, sequence, actor=0, epoch=0, version=0, rows=2, frames=10):
    return replay.insert((actor, epoch, sequence), f"{actor}/{epoch}/{sequence}", rows, frames, version, now=1.0)


def test_fragments_come_out_once_and_in_order():
    replay = Replay()
    for sequence in range(3):
        assert insert(replay, sequence) is Ack.STORED
    assert [item.payload for item in replay.sample(2, 0)] == ["0/0/0", "0/0/1"]
    assert replay.sample(2, 0) == [] and len(replay) == 1
    assert not replay.can_sample(2, 0) and replay.can_sample(1, 0)
    assert [item.key.sequence for item in replay.sample(1, 0)] == [2]


def test_a_duplicate_is_acknowledged_and_not_stored():
    replay = Replay()
    insert(replay, 0)
    assert insert(replay, 0) is Ack.DUPLICATE
    replay.sample(1, 0)
    assert insert(replay, 0) is Ack.DUPLICATE
    assert replay.ledger().duplicates == 2 and replay.ledger().accepted == Count(1, 2, 10)


def test_fragments_may_come_out_of_order():
    replay = Replay()
    assert [insert(replay, s) for s in (2, 0, 0, 1, 2)] == [
        Ack.STORED,
        Ack.STORED,
        Ack.DUPLICATE,
        Ack.STORED,
        Ack.DUPLICATE,
    ]


def test_a_restarted_actor_fences_its_former_self():
    replay = Replay()
    insert(replay, 0, epoch=1)
    assert insert(replay, 1, epoch=0) is Ack.FENCED
    assert insert(replay, 0, epoch=2) is Ack.STORED
    assert insert(replay, 1, epoch=1) is Ack.FENCED
    assert insert(replay, 0, actor=1, epoch=0) is Ack.STORED
    assert replay.ledger().fenced == 2 and replay.ledger().balanced


def test_what_is_too_stale_is_dropped_when_sampled_and_counted():
    replay = Replay(Config(max_staleness=2))
    for sequence, version in enumerate([3, 5, 4, 6]):
        insert(replay, sequence, version=version)
    assert replay.can_sample(2, 7) and not replay.can_sample(3, 7)
    assert [item.policy_version for item in replay.sample(2, 7)] == [5, 6]
    ledger = replay.ledger()
    assert ledger.dropped == {"stale": Count(2, 4, 20)}
    assert ledger.balanced and ledger.live == Count() and replay.dropped_fragments == 2


def test_a_full_replay_drops_its_oldest():
    replay = Replay(Config(capacity=2))
    for sequence in range(3):
        insert(replay, sequence)
    assert replay.ledger().dropped == {"capacity": Count(1, 2, 10)}
    assert [item.key.sequence for item in replay.sample(2, 0)] == [1, 2]


def test_asking_for_what_can_never_be_there_is_refused():
    replay = Replay(Config(capacity=2))
    with pytest.raises(ValueError, match="expected 1 to 2"):
        replay.sample(3, 0)
    with pytest.raises(ValueError, match="and rows"):
        insert(replay, 0, rows=0)
    with pytest.raises(ValueError, match="numbers from 0"):
        insert(replay, -1)


def test_a_restored_replay_goes_on_where_it_was():
    replay = Replay(Config(max_staleness=3))
    for sequence in (0, 1, 3, 4):
        insert(replay, sequence, version=sequence)
    replay.sample(1, 0)
    restored = Replay(replay.config)
    restored.load_state_dict(json.loads(json.dumps(replay.state_dict())), replay.payloads())
    assert restored.ledger() == replay.ledger()
    assert insert(restored, 3) is Ack.DUPLICATE and insert(restored, 2, version=4) is Ack.STORED
    assert [item.payload for item in restored.sample(3, 5)] == ["0/0/3", "0/0/4", "0/0/2"]
    assert restored.ledger().balanced


def test_payloads_that_were_not_saved_are_counted_as_lost():
    replay = Replay()
    insert(replay, 0)
    insert(replay, 1)
    restored = Replay()
    restored.load_state_dict(replay.state_dict())
    assert restored.ledger().dropped == {"lost": Count(2, 4, 20)} and restored.ledger().balanced
    with pytest.raises(ValueError, match="got 1 payloads for 2 fragments"):
        Replay().load_state_dict(replay.state_dict(), ["one"])


_ACTIONS = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 6), st.integers(0, 5)),
    st.tuples(st.just("sample"), st.integers(1, 3)),
    st.tuples(st.just("learn")),
    st.tuples(st.just("restart"), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_ACTIONS, max_size=60), st.integers(3, 5), st.sampled_from([None, 0, 1, 3]))
def test_whatever_happens_nothing_is_sampled_twice_and_the_books_balance(actions, capacity, max_staleness):
    replay, version = Replay(Config(capacity=capacity, max_staleness=max_staleness)), 0
    stored, sampled = [], []
    for action, *arguments in actions:
        if action == "insert":
            actor, epoch, sequence, lag = arguments
            if insert(replay, sequence, actor, epoch, max(0, version - lag), 1 + actor, 3 + sequence) is Ack.STORED:
                stored.append((actor, epoch, sequence))
        elif action == "sample":
            can = replay.can_sample(arguments[0], version)
            items = replay.sample(arguments[0], version)
            assert len(items) == (arguments[0] if can else 0)
            assert max_staleness is None or all(version - item.policy_version <= max_staleness for item in items)
            sampled += [item.key for item in items]
        elif action == "learn":
            version += 1
        else:
            state, payloads = json.loads(json.dumps(replay.state_dict())), replay.payloads()
            replay = Replay(replay.config)
            replay.load_state_dict(state, payloads if arguments[0] else None)
        ledger = replay.ledger()
        assert ledger.balanced and ledger.live.fragments == len(replay) <= capacity
    assert len(set(stored)) == len(stored) == ledger_fragments(replay)
    assert [key for key in stored if key in set(sampled)] == sampled


def ledger_fragments(replay):
    return replay.ledger().accepted.fragments
