"""The crash benchmark notices what it is there to notice, and its claim follows from what it found."""

from __future__ import annotations

import pytest

from benchmarks import replay_crash
from benchmarks.replay_crash import Books, Damage, Toll, batch_of, cut_and_flip, inspect, main, rows_of
from envs.storage.store import Store
from envs.storage.writers import Key
from pipelines.errors import UserError
from pipelines.results import read_result


@pytest.fixture
def stored(tmp_path):
    with Store(tmp_path / "s", replay_crash.SCHEMA) as store:
        for sequence in range(4):
            store.append(Key(0, 0, sequence), batch_of(sequence))
    return tmp_path / "s"


def test_batches_are_of_many_sizes_and_always_the_same():
    assert {rows_of(sequence) for sequence in range(100)} == set(replay_crash.ROWS)
    assert batch_of(5).equals(batch_of(5)) and batch_of(5).num_rows == rows_of(5)
    assert not batch_of(5).equals(batch_of(6))


@pytest.mark.parametrize(
    ("acknowledged", "dropping", "lost", "kept"),
    [
        ({0, 1, 2, 3}, set(), 0, 0),
        ({0, 1, 2, 3, 4}, set(), rows_of(4), 0),  # acknowledged, and not there
        ({0, 1, 2, 3, 4}, {4}, 0, 0),  # … but given up
        ({0, 1, 2}, set(), 0, 1),  # stored, and killed before it could say so
    ],
)
def test_what_is_there_is_compared_with_what_was_acknowledged(stored, acknowledged, dropping, lost, kept):
    toll = Toll()
    inspect(stored, Books(acknowledged, dropping), toll)
    assert (toll.rows_lost, toll.unacknowledged_kept, toll.rows_doubled, toll.rows_wrong) == (lost, kept, 0, 0)


def test_a_batch_that_is_there_twice_or_changed_is_counted(tmp_path):
    with Store(tmp_path / "s", replay_crash.SCHEMA) as store:
        for actor in (0, 1):  # what a store without `Writers` would do
            store.append(Key(actor, 0, 3), batch_of(3))
        store.append(Key(0, 0, 4), batch_of(5))
    toll = Toll()
    inspect(tmp_path / "s", Books({3, 4}), toll)
    assert (toll.rows_doubled, toll.rows_wrong) == (rows_of(3), rows_of(5))


@pytest.mark.slow
def test_damage_that_nobody_notices_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_crash, "look", lambda directory: (False, True))
    found = cut_and_flip(tmp_path, 3, 0)
    assert all(one.noticed == 0 and one.misread == one.made for one in found)
    assert [one.made for one in found if "flipped" in one.what] == [3, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("noticed", [True, False])
def test_the_whole_benchmark_writes_its_result(tmp_path, monkeypatch, noticed):
    if not noticed:
        bad = [Damage("sealed: random bit flipped", 2, 1, 0)]
        monkeypatch.setattr(replay_crash, "cut_and_flip", lambda *_: bad)
    else:
        monkeypatch.setattr(replay_crash, "look", lambda directory: (True, False))
    monkeypatch.setattr(replay_crash, "RECOVERIES", 2)
    monkeypatch.setattr(replay_crash, "RECOVERY_BYTES", 10**6)
    arguments = ["kills=3", "flips=2", "policies=[none]", f"work={tmp_path / 'w'}", f"results={tmp_path / 'r'}"]
    assert main(arguments) == (0 if noticed else 1)
    result = read_result(tmp_path / "r" / "replay-crash.json")
    assert result.holds is noticed and result.rows[0]["kills"] == 3
    assert result.figures["acknowledged rows lost, none"].value == 0
    assert list((tmp_path / "w").iterdir()) == []


def test_an_unknown_key_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"got \['kill'\]; expected kills, flips"):
        main(["kill=3", f"work={tmp_path}"])
