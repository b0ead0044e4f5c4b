"""Windows: episodes put together again, cut evenly, and drawn each once a pass."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.offline.windows import draw, join, windows_of


def stored(*rows):
    """Columns of rows `(episode, first step, steps)`."""
    return (np.array(column, np.int64) for column in zip(*rows, strict=True))


def spans(windows):
    return list(zip(windows.begin.tolist(), windows.end.tolist(), windows.burn_in.tolist(), strict=True))


def test_windows_worked_by_hand():
    # Ten steps in three rows, stored out of order beside another episode of two.
    windows = windows_of(*stored((0, 4, 4), (1, 0, 2), (0, 0, 4), (0, 8, 2)), length=5, burn_in=2)
    assert windows.rows.tolist() == [2, 0, 3, 1] and windows.start.tolist() == [0, 4, 8, 10]
    assert spans(windows) == [(0, 5, 0), (3, 10, 2), (10, 12, 0)]
    assert windows.episode.tolist() == [0, 0, 1] and windows.steps == 12
    covered = [windows.covering(window) for window in range(3)]
    assert [(rows.tolist(), skip) for rows, skip in covered] == [([2, 0], 0), ([2, 0, 3], 3), ([1], 0)]
    assert spans(windows.of(np.array([False, True]))) == [(10, 12, 0)]


def test_a_gap_in_an_episode_ends_a_window():
    windows = windows_of(*stored((0, 0, 3), (0, 5, 3)), length=8, burn_in=4)
    assert spans(windows) == [(0, 3, 0), (3, 6, 0)]


@given(
    st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(1, 7),
    st.integers(0, 5),
    st.randoms(),
)
def test_every_step_is_learnt_from_once_wherever_its_row_lies(episodes, length, burn_in, random):
    rows = [(e, sum(cuts[:k]), n) for e, cuts in enumerate(episodes) for k, n in enumerate(cuts)]
    random.shuffle(rows)
    windows = windows_of(*stored(*rows), length=length, burn_in=burn_in)
    learnt = [step for begin, end, warm in spans(windows) for step in range(begin + warm, end)]
    assert sorted(learnt) == list(range(sum(map(sum, episodes))))
    assert windows.steps == len(learnt)
    assert all(end - begin - warm <= length and warm <= burn_in for begin, end, warm in spans(windows))
    for window in range(len(windows)):
        covering, skip = windows.covering(window)
        names = {rows[row][0] for row in covering.tolist()}
        assert names == {int(windows.episode[window])}
        assert 0 <= skip < rows[covering[0]][2]


@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 3))
def test_each_pass_draws_everything_once_and_draws_can_be_repeated(size, population, seed):
    draws = [draw(number, size, population, seed) for number in range(2 * population)]
    taken = np.concatenate(draws)
    for turn in range(2 * size):
        one = taken[turn * population : (turn + 1) * population]
        assert sorted(one.tolist()) == list(range(population))
    again = draw(3, size, population, seed)
    np.testing.assert_array_equal(again, draws[3] if len(draws) > 3 else again)


def test_passes_are_shuffled_anew_and_by_the_seed():
    one, other, seeded = draw(0, 50, 50, 0), draw(1, 50, 50, 0), draw(0, 50, 50, 1)
    assert one.tolist() != other.tolist() and one.tolist() != seeded.tolist()


def test_rows_become_the_window_that_they_lie_in(rows):
    # Rows [10 11 12] and [12 13 14] of one episode (12 is seen at the end of one and the beginning of the other).
    batch = rows(([0, 1, 2], [5, 6], [1, 2], False), ([2, 3, 4], [7, 8], [3, 4], True), ([8, 9], [1], [6], False))
    whole = join(batch, rows=[2, 1], skip=[0, 0], steps=[4, 1], burn_in=[1, 0], state_size=3)
    assert whole.observation["x"].tolist() == [0, 1, 2, 3, 4, 8, 9]
    assert whole.lengths.tolist() == [4, 1] and whole.action.tolist() == [5, 6, 7, 8, 1]
    assert whole.reward.tolist() == [1, 2, 3, 4, 6] and whole.discount.tolist() == [1, 1, 1, 0, 1]
    assert whole.weight.tolist() == [0, 1, 1, 1, 1]
    assert whole.initial_state.shape == (2, 3) and not whole.initial_state.any()
    assert whole.row_ids == ["0", "2"]

    part = join(batch, rows=[2], skip=[1], steps=[2], burn_in=[0], state_size=1)
    assert part.observation["x"].tolist() == [1, 2, 3] and part.reward.tolist() == [2, 3]
    assert part.discount.tolist() == [1, 1]


def test_a_step_that_does_not_count_stays_so(rows):
    batch = rows(([0, 1, 2], [0, 0], [1, 2], True), weight=[1.0, 0.0])
    joined = join(batch, rows=[1], skip=[0], steps=[2], burn_in=[0], state_size=1)
    torch.testing.assert_close(joined.weight, torch.tensor([1.0, 0.0]))
