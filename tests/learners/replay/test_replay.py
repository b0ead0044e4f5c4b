"""The replay's promises: once in, as often out as agreed, nothing too old, and books that balance."""

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.storage.errors import StoreBusy, StoreForeign
from envs.storage.index import HEADER_BYTES
from envs.storage.store import Config as StoreConfig
from envs.storage.writers import Ack
from learners.replay.config import Config
from learners.replay.ledger import Count, LedgerBroken
from learners.replay.limiter import Config as LimiterConfig
from learners.replay.replay import Replay

ENDLESS = {"unit": "row", "sampler": "uniform", "max_times_sampled": None, "capacity": 1000}


@pytest.fixture(params=["memory", "disk"])
def open_replay(request, tmp_path, schema):
    opened = []

    def open_(**settings):
        for replay in opened:
            replay.close()
        opened.append(Replay(Config(**settings), schema, tmp_path / "replay" if request.param == "disk" else None))
        return opened[-1]

    open_.durable = request.param == "disk"
    yield open_
    for replay in opened:
        replay.check()
        replay.close()


@pytest.fixture(scope="session")
def put(build):
    """Insert a fragment of two rows of five steps."""

    def insert(replay, sequence, actor=0, epoch=0, version=0, **more):
        key = (actor, epoch, sequence)
        return replay.insert(key, build(key, (2 * sequence, 0, 5), (2 * sequence + 1, 0, 5)), version, **more)

    return insert


def keys(replay, sample):
    return [insert.key.sequence for insert in replay.inserts(sample)]


def test_fragments_come_out_once_and_in_order(open_replay, put):
    replay = open_replay()
    for sequence in range(3):
        assert put(replay, sequence) is Ack.STORED
    assert keys(replay, replay.sample(0, 2, 0)) == [0, 1]
    assert replay.sample(1, 2, 0) is None and len(replay) == 1
    assert replay.why_not(2, 0) == "1 of 2 fragments are there to be sampled" and replay.why_not(1, 0) == ""
    assert keys(replay, replay.sample(1, 1, 0)) == [2]


def test_a_duplicate_is_acknowledged_and_not_stored(open_replay, put):
    replay = open_replay()
    put(replay, 0)
    assert put(replay, 0) is Ack.DUPLICATE
    replay.sample(0, 1, 0)
    replay.release(1)
    assert put(replay, 0) is Ack.DUPLICATE
    assert replay.ledger().duplicates == 2 and replay.ledger().accepted == Count(1, 2, 10)


def test_fragments_may_come_out_of_order(open_replay, put):
    replay = open_replay()
    acks = [put(replay, sequence).value for sequence in (2, 0, 0, 1, 2)]
    assert acks == ["stored", "stored", "duplicate", "stored", "duplicate"]


def test_a_restarted_actor_fences_its_former_self(open_replay, put):
    replay = open_replay()
    put(replay, 0, epoch=1)
    assert put(replay, 1, epoch=0) is Ack.FENCED
    assert put(replay, 0, epoch=2) is Ack.STORED
    assert put(replay, 1, epoch=1) is Ack.FENCED
    assert put(replay, 0, actor=1, epoch=0) is Ack.STORED
    assert replay.ledger().fenced == 2 and replay.ledger().balanced


def test_what_is_too_stale_is_dropped_when_sampled_and_counted(open_replay, put):
    replay = open_replay(max_staleness=2)
    for sequence, version in enumerate([3, 5, 4, 6]):
        put(replay, sequence, version=version)
    assert replay.why_not(3, 7) == (
        "2 of 3 fragments are there to be sampled; 2 more are over 2 versions older than the learner's, 7"
    )
    assert [insert.policy_version for insert in replay.inserts(replay.sample(0, 2, 7))] == [5, 6]
    ledger = replay.ledger()
    assert ledger.dropped == {"stale": Count(2, 4, 20)} and replay.dropped_fragments == 2
    assert ledger.balanced and ledger.live == ledger.held == Count(2, 4, 20)


def test_a_full_replay_drops_its_oldest(open_replay, put):
    replay = open_replay(capacity=2)
    for sequence in range(3):
        put(replay, sequence)
    assert replay.ledger().dropped == {"capacity": Count(1, 2, 10)}
    assert keys(replay, replay.sample(0, 2, 0)) == [1, 2]


def test_room_is_made_in_rows_and_in_bytes(open_replay, put, build):
    replay = open_replay(unit="row", capacity=100, capacity_rows=5)
    for sequence in range(4):
        put(replay, sequence)
    assert len(replay) == 5 and replay.ledger().dropped["capacity"] == Count(1, 3, 15)
    if open_replay.durable:
        return
    size = build((0, 0, 0), (0, 0, 5), (1, 0, 5)).nbytes
    replay = open_replay(capacity_bytes=int(2.5 * size))
    for sequence in range(4):
        put(replay, sequence)
    assert len(replay) == 2 and replay.ledger().dropped["capacity"] == Count(2, 4, 20)


def test_asking_for_what_can_never_be_there_is_refused(open_replay, put, build, schema):
    replay = open_replay(capacity=2)
    with pytest.raises(ValueError, match="expected 1 to 2"):
        replay.sample(0, 3, 0)
    with pytest.raises(ValueError, match="numbers from 0"):
        put(replay, -1)
    with pytest.raises(ValueError, match="and steps"):
        replay.insert((0, 0, 0), build((0, 0, 0), (0, 0, 5)).slice(0, 0))
    with pytest.raises(StoreForeign, match="expected that of the store"):
        replay.insert((0, 0, 0), pa.record_batch({"x": pa.array([1])}))
    with pytest.raises(ValueError, match="at most 0, the next one"):
        replay.sample(1, 1, 0)
    with pytest.raises(ValueError, match="the samples given so far"):
        replay.release(1)
    assert replay.ledger().accepted == Count()


def test_a_sample_that_was_given_is_given_again(open_replay, put):
    replay = open_replay(capacity=8)
    for sequence in range(4):
        put(replay, sequence)
    first, second = replay.sample(0, 2, 0), replay.sample(1, 1, 0)
    assert keys(replay, replay.sample(0, 2, 0)) == [0, 1] and replay.sample(0, 2, 0).redelivered
    replay.release(1)
    with pytest.raises(ValueError, match="expected 1 or later"):
        replay.sample(0, 2, 0)
    with pytest.raises(ValueError, match="use the newest checkpoint"):
        replay.rewind(0)
    with pytest.raises(ValueError, match="it was released"):
        replay.gather(first)
    assert replay.rewind(1) == 1
    assert (replay.sample(1, 2, 0).ids == second.ids).all() and keys(replay, replay.sample(2, 1, 0)) == [3]
    assert replay.ledger().consumed == Count(2, 4, 20) and replay.ledger().redelivered == 3


def test_what_was_sampled_is_kept_for_a_rewind_however_full_it_gets(open_replay, put):
    replay = open_replay(capacity=2)
    put(replay, 0)
    replay.sample(0, 1, 0)
    for sequence in range(1, 9):
        put(replay, sequence)
    assert keys(replay, replay.sample(0, 1, 0)) == [0] and replay.ledger().held.fragments == 1
    replay = open_replay(**{**ENDLESS, "capacity": 4}) if not open_replay.durable else None
    if replay is not None:  # items that could be sampled anew go too, but their rows stay while a sample needs them
        put(replay, 0)
        before = replay.gather(replay.sample(0, 2, 0))["action"].tolist()
        for sequence in range(1, 9):
            put(replay, sequence)
        assert replay.gather(replay.sample(0, 2, 0))["action"].tolist() == before
        replay.release(1)
        assert replay.ledger().live.rows == 4


def test_only_so_many_samples_are_kept(open_replay, put):
    replay = open_replay(rewindable=2, capacity=10)
    for sequence in range(5):
        put(replay, sequence)
        replay.sample(sequence, 1, 0)
    assert replay.released == 3 and replay.ledger().unreleased == 2 and replay.ledger().consumed.fragments == 3
    assert keys(replay, replay.sample(3, 1, 0)) == [3]


def test_the_newest_come_first_where_asked_for(open_replay, put):
    replay = open_replay(sampler="lifo")
    for sequence in range(3):
        put(replay, sequence)
    assert keys(replay, replay.sample(0, 2, 0)) == [2, 1]


@pytest.mark.parametrize("sampler", ["fifo", "lifo"])
def test_what_comes_in_order_is_in_a_sample_once_however_often_it_may_be_sampled(open_replay, put, sampler):
    replay = open_replay(**{**ENDLESS, "sampler": sampler, "capacity": 4})
    put(replay, 0)
    assert replay.why_not(3, 0) == "2 of 3 rows are there to be sampled" and replay.sample(0, 3, 0) is None
    with pytest.raises(ValueError, match="expected 1 to 4"):
        replay.sample(0, 5, 0)
    put(replay, 1)
    assert sorted(replay.sample(0, 3, 0).ids.tolist()) == ([0, 1, 2] if sampler == "fifo" else [1, 2, 3])


def test_an_item_is_in_a_sample_once_where_it_may_be_sampled_once(open_replay, put):
    for sampler in ("uniform", "prioritised"):
        if open_replay.durable and sampler == "prioritised":
            return
        replay = open_replay(unit="row", sampler=sampler, max_times_sampled=1)
        for sequence in range(4):
            put(replay, sequence)
        assert sorted(replay.sample(0, 5, 0).ids.tolist() + replay.sample(1, 3, 0).ids.tolist()) == list(range(8))
        assert replay.sample(2, 1, 0) is None


def test_uniform_draws_are_uniform(put, schema):
    replay = Replay(Config(**ENDLESS, rewindable=1), schema)
    for sequence in range(5):
        put(replay, sequence)
    counts = np.zeros(10)
    for number in range(400):
        sample = replay.sample(number, 25, 0)
        assert (sample.probabilities == 0.1).all() and (sample.weights(0.7) == 1).all()
        np.add.at(counts, sample.ids, 1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 28  # chi-squared of 9, one in a thousand
    assert replay.ledger().sampled_rows == 10_000


def test_priorities_are_probabilities_and_importance_weights_undo_them(open_replay, put):
    replay = open_replay(unit="row", sampler="prioritised", alpha=0.5, max_times_sampled=None)
    for sequence in range(2):
        put(replay, sequence)
    assert replay.update_priorities(np.array([0, 1, 2, 3]), [1, 4, 9, 0]) == 4
    sample = replay.sample(0, 600, 0)
    assert np.bincount(sample.ids).tolist() == [100, 200, 300]  # stratified; roots 1, 2, 3 of 6
    assert sample.probabilities[sample.ids == 2] == pytest.approx(0.5)
    # Three can be drawn: (3 · p)^-1 is 2, 1, 2/3; the largest is made 1.
    assert sorted(set(sample.weights(1.0).round(5).tolist())) == pytest.approx([1 / 3, 0.5, 1], abs=1e-4)
    put(replay, 2)
    assert (replay._state.items["priority"][:6] == [1, 4, 9, 0, 9, 9]).all()  # new ones get the highest so far
    replay.update_priorities(np.arange(6), np.zeros(6))
    assert replay.why_not(1, 0) == "0 of 1 rows are there to be sampled; 6 wait, and 6 of them have priority 0"


def test_what_has_priority_0_is_not_there_to_be_drawn(open_replay, put):
    replay = open_replay(unit="row", sampler="prioritised", max_times_sampled=1)
    for sequence in range(2):
        put(replay, sequence)
    replay.update_priorities(np.arange(4), [0, 2, 0, 0])
    assert replay.why_not(2, 0) == "1 of 2 rows are there to be sampled; 4 wait, and 3 of them have priority 0"
    assert replay.sample(0, 2, 0) is None and replay.sample(0, 1, 0).ids.tolist() == [1]
    replay.update_priorities(np.array([2]), [0.5])
    assert replay.why_not(1, 0) == "" and replay.sample(1, 1, 0).ids.tolist() == [2]


def test_what_is_too_stale_and_has_priority_0_is_taken_off_once(put, schema):
    replay = Replay(Config(unit="row", sampler="prioritised", max_staleness=0), schema)
    for version in range(2):
        put(replay, version, version=version)
    replay.update_priorities(np.arange(4), [0, 0, 1, 1])
    assert replay.why_not(2, 1) == "" and sorted(replay.sample(0, 2, 1).ids.tolist()) == [2, 3]


def test_late_verdicts_change_priorities_by_row(open_replay, put):
    replay = open_replay(unit="fragment", sampler="prioritised", alpha=1, max_times_sampled=None, capacity=2)
    for sequence in range(3):
        put(replay, sequence)
    # Fragment 0 is gone; of the two rows of fragment 1 the higher one counts.
    assert replay.update_priorities(["0/0/0/0", "0/0/1/0", "0/0/1/1"], [5, 2, 3]) == 1
    assert set(replay.sample(0, 4, 0).probabilities.tolist()) == {0.75, 0.25}


@pytest.mark.parametrize(
    "ids, priorities, match",
    [
        (["0/0/9/0"], [1], "got row '0/0/9/0'"),
        (["0/0/0/2"], [1], "an index below 2"),
        (["nonsense"], [1], "'actor/epoch/sequence/index'"),
        (["0/0/0/0"], [float("nan")], "one finite number"),
        (["0/0/0/0"], [float("inf")], "one finite number"),
        (["0/0/0/0"], [-1], "one finite number"),
        (["0/0/0/0"], [1, 2], "for 1 ids"),
        (np.array([0, 1]), [1, 1], r"got ids \[1\] of items"),
    ],
)
def test_priorities_of_what_was_never_there_are_refused(put, schema, ids, priorities, match):
    replay = Replay(Config(sampler="prioritised", max_times_sampled=None), schema)
    put(replay, 0)
    with pytest.raises(ValueError, match=match):
        replay.update_priorities(ids, priorities)
    assert replay._state.items["priority"][0] == 1


def test_the_lowest_priority_or_the_most_sampled_goes_first(put, schema):
    replay = Replay(
        Config(sampler="prioritised", max_times_sampled=None, capacity=3, remover="lowest_priority"), schema
    )
    for sequence in range(3):
        put(replay, sequence)
    replay.update_priorities(np.array([0, 1, 2]), [2.0, 0.5, 3.0])
    put(replay, 3)
    assert [insert.key.sequence for insert in replay.inserts()] == [0, 2, 3]
    replay = Replay(Config(sampler="lifo", max_times_sampled=None, capacity=3, remover="most_sampled"), schema)
    for sequence in range(2):
        put(replay, sequence)
    replay.sample(0, 1, 0)
    for sequence in range(2, 4):
        put(replay, sequence)
    replay.release(1)
    assert [insert.key.sequence for insert in replay.inserts()] == [0, 2, 3]
    assert replay.ledger().consumed.fragments == 1
    replay.check()


def test_the_limiter_is_asked_from_both_sides(put, schema):
    limits = LimiterConfig(min_size=2, samples_per_insert=2, error_buffer=2)
    replay = Replay(Config(**ENDLESS, limiter=limits), schema)
    put(replay, 0)
    assert replay.why_not(1, 0) == "" and replay.why_no_insert(1) == ""
    put(replay, 1)
    assert "at most 6" in replay.why_no_insert(2)
    assert replay.sample(0, 4, 0) is not None and replay.why_no_insert(1) == ""
    replay.sample(1, 2, 0)
    assert "wait for inserts" in replay.why_not(1, 0) and replay.sample(2, 1, 0) is None
    with pytest.raises(ValueError, match="expected 1 to 4"):
        replay.sample(2, 5, 0)


def test_what_is_stored_comes_back_in_another_process(tmp_path, put, schema):
    config = Config(unit="row", sampler="prioritised", max_times_sampled=3, capacity=7)
    replay = Replay(config, schema, tmp_path)
    for sequence in range(5):
        put(replay, sequence, meta={"frames": sequence})
    samples = [replay.sample(number, 3, number) for number in range(4)]
    replay.release(2)
    replay.update_priorities(samples[3].ids, [7.0, 8.0, 9.0])
    put(replay, 0)
    found = [replay.gather(sample)["action"].copy() for sample in samples[2:]]
    ledger, inserts = replay.ledger(), list(replay.inserts())
    with pytest.raises(StoreBusy):
        Replay(config, schema, tmp_path)
    replay.close()
    again = Replay(config, schema, tmp_path)
    again.check()
    assert again.ledger() == ledger and list(again.inserts()) == inserts and inserts[-1].meta == {"frames": 4}
    for number in (2, 3):
        sample = again.sample(number, 3, 9)
        assert (sample.ids == samples[number].ids).all() and sample.learner_version == number
        assert (sample.probabilities == samples[number].probabilities).all()
        assert (again.gather(sample)["action"] == found[number - 2]).all()
    assert put(again, 4) is Ack.DUPLICATE and again.update_priorities(samples[0].ids, [1.0, 1.0, 1.0]) <= 3
    again.close()
    with pytest.raises(ValueError, match="resume with the same settings"):
        Replay(Config(unit="fragment"), schema, tmp_path)
    with pytest.raises(StoreForeign):
        Replay(config, schema.remove(0), tmp_path)
    Replay(config, schema, tmp_path).close()


@pytest.mark.slow
def test_the_journal_begins_anew_and_says_the_same(tmp_path, put, schema, monkeypatch):
    monkeypatch.setattr("learners.replay.journal.BEGIN_ANEW", 1000)
    config = Config(**{**ENDLESS, "capacity": 6}, remover="most_sampled", rewindable=3)
    replay = Replay(config, schema, tmp_path)
    for number in range(120):
        put(replay, number)
        replay.sample(number, 2, number)
        replay.update_priorities(replay.sample(number, 2, 0).ids, [number, number])
    ledger = replay.ledger()
    expected = replay.sample(119, 2, 0)
    replay.close()
    (file,) = (tmp_path / "decisions").iterdir()
    assert int(file.name[-9:]) > 2
    again = Replay(config, schema, tmp_path)
    again.check()
    assert again.ledger().accepted == ledger.accepted and again.ledger().consumed == ledger.consumed
    assert (again.sample(119, 2, 0).ids == expected.ids).all()
    again.close()


def test_rows_that_the_disk_has_lost_are_counted(tmp_path, put, schema):
    config = Config(unit="row")
    replay = Replay(config, schema, tmp_path)
    for sequence in range(3):
        put(replay, sequence)
    replay.sample(0, 3, 0)  # both rows of fragment 0, one of fragment 1
    replay._store.drop([replay._shelf.position(replay._state.batch_slots[(0, 0, 1)])])  # behind the replay's back
    replay.close()
    again = Replay(config, schema, tmp_path)
    again.check()
    sample = again.sample(0, 3, 0)
    assert sample.ids.tolist() == [0, 1] and sample.lost == 1
    # The row that had been sampled was consumed, the other one is lost; the fragment was consumed in part.
    assert again.ledger().dropped == {"lost": Count(0, 1, 5)} and again.ledger().consumed == Count(1, 1, 5)
    assert again.sample(1, 2, 0).ids.tolist() == [4, 5]
    again.close()


def test_rows_that_the_machine_lost_before_others_that_it_kept_leave_books_that_balance(tmp_path, schema, build):
    """Of what is not synced each segment may lose its end; the journal has heard of none of it."""
    config = Config(unit="row", store=StoreConfig(segment_mb=1, fsync="none", fsync_interval_s=3600))
    replay = Replay(config, schema, tmp_path / "before")
    (journal,) = (tmp_path / "before" / "decisions").iterdir()
    decided = journal.read_bytes()
    large = [build((0, 0, number), (number, 0, 20_000)) for number in range(3)]  # one fills half of a segment
    for number, rows in enumerate(large):
        replay.insert((0, 0, number), rows)
    replay.copy_to(tmp_path / "after")
    replay.close()
    (tmp_path / "after" / "decisions" / journal.name).write_bytes(decided)
    os.truncate(tmp_path / "after" / "rows" / "000000.index", HEADER_BYTES)
    again = Replay(config, schema, tmp_path / "after")
    again.check()
    kept = [insert.key.sequence for insert in again.inserts()]
    assert 2 in kept and 0 not in kept and again.ledger().accepted.fragments == len(kept)
    assert again.insert((0, 0, 0), large[0]) is Ack.STORED and again.insert((0, 0, 2), large[2]) is Ack.DUPLICATE
    again.check()
    again.close()


def test_rows_that_say_not_what_they_belong_to_are_refused_before_they_are_stored(tmp_path, schema, build):
    with pytest.raises(ValueError, match="got rows with None as 'group_id'; expected a name in each"):
        Replay(Config(unit="group", group_size=2), schema.remove(schema.get_field_index("group_id")), tmp_path / "no")
    assert not (tmp_path / "no").exists()
    config = Config(unit="sequence", length=4)
    replay = Replay(config, schema, tmp_path)
    rows, ended = build((0, 0, 0), (1, 0, 4), (2, 0, 4, True)), schema.get_field_index("ended")
    unknown = rows.set_column(ended, schema.field(ended), pa.array([None, True]))
    with pytest.raises(ValueError, match=r"got .* with 1 rows without 'ended'; expected true or false"):
        replay.insert((0, 0, 0), unknown)
    assert replay.insert((0, 0, 0), rows) is Ack.STORED
    replay.close()
    again = Replay(config, schema, tmp_path)
    again.check()
    assert again.gather(again.sample(0, 2, 0))["action"].tolist() == [list(range(e, e + 4)) for e in (1000, 2000)]
    again.close()


def test_a_full_disk_changes_nothing_and_the_writer_may_try_again(tmp_path, put, schema, monkeypatch):
    replay = Replay(Config(), schema, tmp_path)
    put(replay, 0)
    full = OSError(28, "No space left on device")

    def refuse(*_, **__):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(replay._store, "append", refuse)
        with pytest.raises(OSError, match="No space"):
            put(replay, 1)
    with monkeypatch.context() as patch:
        patch.setattr("learners.replay.journal.write_at", refuse)
        assert put(replay, 1) is Ack.STORED  # the store has it; the journal can find that out
        with pytest.raises(OSError, match="No space"):
            replay.sample(0, 1, 0)
        assert replay.next_sample == 0 and len(replay) == 2
    assert keys(replay, replay.sample(0, 2, 0)) == [0, 1]
    replay.close()
    again = Replay(Config(), schema, tmp_path)
    assert keys(again, again.sample(0, 2, 0)) == [0, 1]
    again.check()
    again.close()


def test_a_learner_that_is_ahead_of_what_the_disk_kept_goes_on(tmp_path, put, schema):
    replay = Replay(Config(), schema, tmp_path)
    put(replay, 0)
    assert replay.rewind(5) == 0 and replay.next_sample == 5
    assert keys(replay, replay.sample(5, 1, 0)) == [0]
    replay.check()
    replay.close()


def test_books_that_do_not_hold_are_told(put, schema):
    replay = Replay(None, schema)
    put(replay, 0)
    replay._state.accepted += Count(1, 2, 3)
    replay._state.waiting_rows += 1
    with pytest.raises(LedgerBroken, match=r"accepted.*waiting rows: 3 on the books, 2 in the tables"):
        replay.check()


def test_slices_stay_valid_when_the_rows_are_gone(open_replay, put, build):
    replay = open_replay()
    put(replay, 0)
    (rows,) = replay.sample_rows(replay.sample(0, 1, 0))
    expected = build((0, 0, 0), (0, 0, 5), (1, 0, 5))
    replay.release(1)
    assert rows.equals(expected) and rows.schema.equals(expected.schema)


def test_slices_of_a_larger_batch_are_stored_alone(open_replay, build):
    replay = open_replay(unit="row", capacity=100)
    whole = build((0, 0, 0), *((episode, 0, 1 + episode % 4) for episode in range(50)))
    assert replay.insert((0, 0, 0), whole.slice(7, 3)) is Ack.STORED
    arrays = replay.gather(replay.sample(0, 3, 0))
    assert arrays["action"].tolist() == [
        [7000, 7001, 7002, 7003],
        [8000, 0, 0, 0],
        [9000, 9001, 0, 0],
    ]
    assert arrays["initial_state"][:, 0].tolist() == [7, 8, 9]


_ACTIONS = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 6), st.integers(0, 5)),
    st.tuples(st.just("sample"), st.integers(1, 3)),
    st.tuples(st.just("release")),
    st.tuples(st.just("learn")),
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(_ACTIONS, max_size=60), st.integers(3, 5), st.sampled_from([None, 0, 1, 3]))
def test_whatever_happens_nothing_is_sampled_twice_and_the_books_balance(put, schema, actions, capacity, max_staleness):
    replay, version = Replay(Config(capacity=capacity, max_staleness=max_staleness), schema), 0
    stored, sampled = [], []
    for action, *arguments in actions:
        if action == "insert":
            actor, epoch, sequence, lag = arguments
            if put(replay, sequence, actor, epoch, max(0, version - lag)) is Ack.STORED:
                stored.append((actor, epoch, sequence))
        elif action == "sample":
            why_not = replay.why_not(arguments[0], version)
            sample = replay.sample(replay.next_sample, arguments[0], version)
            assert (sample is None) == bool(why_not)
            for insert in replay.inserts(sample) if sample else ():
                assert max_staleness is None or version - insert.policy_version <= max_staleness
                sampled.append(tuple(insert.key))
        elif action == "release":
            replay.release(replay.next_sample)
            assert replay.ledger().held == Count()
        else:
            version += 1
        replay.check()
        assert len(replay) <= capacity and replay.ledger().balanced
    assert len(set(stored)) == len(stored) == replay.ledger().accepted.fragments
    assert [key for key in stored if key in set(sampled)] == sampled
