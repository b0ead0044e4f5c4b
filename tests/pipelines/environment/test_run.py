"""The books of a run: each stored fragment is counted, and counted once."""

from __future__ import annotations

from envs.trajectory import Fragment


def test_a_fragment_is_awaited_until_it_is_counted(small, books, tmp_path):
    run = books(small(), tmp_path / "run")
    first, second = (Fragment((0, 0, number), 0, 10, 1, {}, {}, []) for number in range(2))
    other = Fragment((0, 1, 0), 0, 10, 1, {}, {}, [])  # of the same actor, begun again
    assert run.awaits(first)
    run.gathered(first)
    assert not run.awaits(first) and run.awaits(second) and run.awaits(other)
    assert run.catch_up([first, second]) == 1 and not run.awaits(second)
    run.close()
