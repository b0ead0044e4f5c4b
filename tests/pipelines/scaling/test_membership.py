"""Who shares each batch while rooms come and go, by sequences worked by hand and by what must hold of any."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.scaling.membership import Membership, sizes_of


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def places(text):
    """`places("x.x")`: there is room at the first and the last of three."""
    return [mark == "x" for mark in text]


def test_only_numbers_that_share_a_batch_evenly_are_sizes():
    assert sizes_of(1, 4, 4) == (1, 2, 4) and sizes_of(2, 6, 12) == (2, 3, 4, 6) and sizes_of(2, 2, 2) == (2,)


def test_a_lost_place_is_done_without_at_once_and_one_that_is_won_waits_for_the_rest():
    clock = Clock()
    group = Membership((1, 2), 10.0, clock)
    assert group.members == () and group.epoch == -1
    assert group.form(places("xx")) == ((), (0, 1)) and group.members == (0, 1) and group.epoch == 0
    assert not group.may_grow(places("xx")), "they are all there"
    clock.now = 3.0
    assert group.form(places(".x")) == ((0,), ()) and group.members == (1,) and group.epoch == 1
    clock.now = 12.9
    assert not group.may_grow(places("xx")), "the rest counts from the last forming"
    clock.now = 13.0
    assert not group.may_grow(places(".x")) and group.may_grow(places("xx"))
    assert group.form(places("xx")) == ((), (0,)) and group.members == (0, 1) and group.epoch == 2


def test_with_room_for_fewer_than_the_least_nobody_takes_part_and_nothing_grows():
    clock = Clock()
    group = Membership((2, 4), 0.0, clock)
    group.form(places("xxxx"))
    assert group.form(places("..x.")) == ((0, 1, 2, 3), ()) and group.members == () and group.epoch == 1
    assert group.possible(places("..x.")) == 0 and not group.may_grow(places("xxxx")), "it is formed, not grown"
    assert group.form(places(".xxx")) == ((), (1, 2)), "three cannot share four rollouts"


def test_a_group_without_a_size_is_refused():
    for sizes in ((), (0, 1)):
        with pytest.raises(ValueError, match="expected at least one number"):
            Membership(sizes, 0.0, Clock())


@given(
    st.integers(1, 3), st.integers(0, 5), st.integers(1, 24), st.lists(st.lists(st.booleans(), min_size=8, max_size=8))
)
def test_whoever_takes_part_has_room_shares_evenly_and_every_forming_is_an_epoch_of_its_own(least, more, batch, story):
    sizes = sizes_of(least, least + more, batch * least)
    group = Membership(sizes, 0.0, Clock())
    for number, room in enumerate(story):
        before = group.members
        left, joined = group.form(room)
        assert group.epoch == number and all(room[place] for place in group.members)
        assert not group.members or len(group.members) in sizes
        assert (set(before) - set(left)) | set(joined) == set(group.members) and not set(left) & set(joined)
        assert not group.may_grow(room), "it has formed with all that could take part"
