"""Samples drawn ahead are those that would have been drawn when they were asked for, as far as chance goes."""

import numpy as np
import pytest

from learners.replay.config import Config
from learners.replay.journal import Frame, Kind
from learners.replay.replay import Replay

ENDLESS = {"max_times_sampled": None, "rewindable": 2, "capacity": 12}


def fill(replay, build, rows, first=0):
    for sequence in range(first, first + rows):
        key = (0, 0, sequence)
        replay.insert(key, build(key, (2 * sequence, 0, 2, True), (2 * sequence + 1, 0, 3, True)))


UNITS = [{"unit": "row"}, {"unit": "fragment"}, {"unit": "sequence", "length": 2, "stride": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("sampler", ["uniform", "prioritised", "fifo"])
def test_however_inserts_and_samples_alternate_nothing_gone_is_drawn_and_the_books_hold(build, schema, unit, sampler):
    replay, rng = Replay(Config(**ENDLESS, **unit, sampler=sampler), schema), np.random.default_rng(0)
    fill(replay, build, 3)
    inserted = 3
    for _ in range(60):
        for _ in range(rng.integers(1, 9)):
            sample = replay.sample(replay.next_sample, 2, 0)
            arrays = replay.gather(sample)
            there = set(replay._state.items["id"][replay._state.items.used()].tolist())
            assert set(sample.ids.tolist()) <= there
            # Each action is 2,000 times the fragment's number and some more: what is given is what was drawn.
            fragments = {insert.key.sequence for insert in replay.inserts(sample)}
            assert set((arrays["action"][arrays["mask"]] // 2000).tolist()) == fragments
        replay.check()
        if rng.random() < 0.3:
            replay.update_priorities(sample.ids, [float(rng.integers(1, 4))] * 2)
        fill(replay, build, 1, inserted)
        inserted += 1
        replay.check()


def test_what_was_drawn_ahead_is_forgotten_when_an_item_has_no_priority_any_more(build, schema):
    replay = Replay(Config(**ENDLESS, unit="row", sampler="prioritised"), schema)
    fill(replay, build, 6)
    for _ in range(7):  # by now some are drawn ahead
        sample = replay.sample(replay.next_sample, 12, 0)
    gone = sample.ids[:1]
    replay.update_priorities(gone, [0.0])
    for _ in range(20):
        assert not np.isin(replay.sample(replay.next_sample, 12, 0).ids, gone).any()


@pytest.mark.parametrize("sampler", ["uniform", "prioritised"])
def test_all_are_drawn_alike_whether_ahead_or_not(build, schema, sampler):
    replay = Replay(Config(**ENDLESS, unit="row", sampler=sampler, alpha=1.0), schema)
    fill(replay, build, 6)
    replay.update_priorities(np.arange(12), [1.0] * 6 + [3.0] * 6)
    counts = np.zeros(12)
    for number in range(1500):
        counts += np.bincount(replay.sample(number, 4, 0).ids, minlength=12)
    expected = np.full(12, 500.0) if sampler == "uniform" else np.repeat([250.0, 750.0], 6)
    assert ((counts - expected) ** 2 / expected).sum() < 40  # chi-squared, 11 degrees: passed by chance 1 in 30,000


def test_a_journal_whose_samples_release_nothing_is_read_as_it_was_written(tmp_path, build, schema):
    """Earlier versions wrote the release that `rewindable` makes as a decision of its own."""
    config = Config(**ENDLESS, unit="row", sampler="uniform")
    replay = Replay(config, schema, tmp_path)
    fill(replay, build, 3)
    write = replay._journal.write
    kinds = []

    def apart(*frames, **how):
        for frame in frames:
            kinds.append(frame.kind)
            if frame.kind is Kind.SAMPLE and len(frame.numbers) > 3:
                write(Frame(Kind.RELEASE, frame.numbers[3:]))
                frame = frame._replace(numbers=frame.numbers[:3])
            write(frame, **how)

    replay._journal.write = apart
    samples = [replay.sample(number, 2, 0) for number in range(5)]
    assert kinds == [Kind.SAMPLE] * 5 and replay.released == 3
    replay.close()
    again = Replay(config, schema, tmp_path)
    again.check()
    assert (again.released, again.next_sample) == (3, 5)
    assert all((again.sample(number, 2, 0).ids == samples[number].ids).all() for number in (3, 4))
    again.close()


@pytest.mark.parametrize(
    ("lengths", "unit", "whole"),
    [
        ((2, 2), {"unit": "row"}, 2),
        ((2, 3), {"unit": "row"}, 0),
        ((2, 2), {"unit": "sequence", "length": 2}, 2),
        ((4, 4), {"unit": "sequence", "length": 2}, 0),  # some windows begin within a row
        ((4, 2), {"unit": "sequence", "length": 4}, 0),  # and some are shorter than others
    ],
)
def test_lines_that_are_known_to_be_whole_rows_are_copied_like_any_others(build, schema, lengths, unit, whole):
    replay = Replay(Config(**ENDLESS, **unit, sampler="fifo"), schema)
    for sequence in range(4):
        key = (0, 0, sequence)
        replay.insert(key, build(key, *((2 * sequence + at, 0, steps, True) for at, steps in enumerate(lengths))))
    for _ in range(4):  # the later ones are drawn ahead
        sample = replay.sample(replay.next_sample, 8, 0)
        assert sample.pieces.whole in (0, whole)
        known = {name: values.copy() for name, values in replay.gather(sample).items()}
        unknown = replay._shelf.gather(sample.pieces._replace(whole=0), replay.config.length)
        assert all((values == unknown[name]).all() for name, values in known.items())
    assert sample.pieces.whole == whole
