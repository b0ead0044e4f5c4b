"""Families of prompts: who begins like whom."""

from hypothesis import given
from hypothesis import strategies as st

from actors.engines.families import Family, arranged, families

prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=20)


def test_those_that_begin_alike_are_one_family_and_the_longest_is_its_first():
    found = families({4: [1, 2, 3, 9], 7: [5, 5, 5, 5, 5], 2: [1, 2, 3, 8, 8, 8], 9: [1, 2, 7]}, 3, 9)
    assert sorted(found, key=lambda one: one.members) == [Family(3, (2, 4)), Family(0, (7,)), Family(0, (9,))]


def test_equal_prompts_keep_one_token_of_their_own():
    assert families({0: [1, 2, 3], 1: [1, 2, 3]}, 2, 9) == [Family(2, (0, 1))]
    assert len(families({0: [1, 2], 1: [1, 2]}, 2, 9)) == 2


def test_families_become_one_only_where_that_spares_more():
    near = {0: [1] * 9 + [2], 1: [1] * 9 + [3], 2: [1, 1, 4]}
    assert {one.members: one.kept for one in families(near, 2, 9)} == {(0, 1): 9, (2,): 0}  # 9 tokens, and not 2 * 2
    near[2] = [*[1] * 6, 4]
    assert {one.members: one.kept for one in families(near, 2, 9)} == {(0, 1, 2): 6}  # 2 * 6
    two_by_two = {0: [1, 1, 1, 2, 5], 1: [1, 1, 1, 2, 6], 2: [1, 1, 1, 3, 5], 3: [1, 1, 1, 3, 6]}
    assert {one.members: one.kept for one in families(two_by_two, 2, 9)} == {(0, 1, 2, 3): 3}  # 3 * 3, and not 4 + 4


def test_there_is_no_family_of_nobody():
    assert families({}, 1, 9) == []


@given(prompts, st.integers(1, 5), st.integers(1, 6))
def test_every_prompt_is_in_one_family_and_has_what_it_keeps(rows, least, most):
    found = families(dict(enumerate(rows)), least, most)
    assert sorted(place for one in found for place in one.members) == list(range(len(rows)))
    for one in found:
        first = rows[one.members[0]]
        assert all(rows[place][: one.kept] == first[: one.kept] for place in one.members)
        assert all(one.kept < len(rows[place]) <= len(first) for place in one.members)
        assert len(one.members) <= most
        assert (one.kept >= least) if len(one.members) > 1 else one.kept == 0


def spread(batches):
    return [[one.members for one in batch] for batch in batches]


def test_prompts_are_batched_by_length_under_a_budget_of_padded_tokens():
    lengths = {0: [1] * 4, 1: [2] * 9, 2: [3] * 3, 3: [4] * 30}
    assert spread(arranged(lengths, 10, None)) == [[(2,), (0,)], [(1,)], [(3,)]]
    assert spread(arranged({}, 10, None)) == [] == arranged({}, 10, 1)


def test_a_family_is_read_together_where_that_is_cheaper_than_another_pass():
    like = {0: [1] * 20 + [2] * 5, 1: [1] * 20 + [3] * 4}
    assert spread(arranged(like, 100, 20)) == [[(0, 1)]]  # 25 + 4 tokens and a pass more, and not 2 * 25
    assert spread(arranged(like, 100, 22)) == [[(1,), (0,)]]
    assert spread(arranged(like, 100, None)) == [[(1,), (0,)]]


def test_of_a_model_whose_passes_are_cheap_many_are_one_family():
    row = {k: [1] * 30 + [k] * 3 for k in range(8)}
    assert spread(arranged(row, 200, 1)) == [[tuple(range(8))]]  # 33 + 7 * 3 tokens, in two passes
    assert {len(members) for batch in spread(arranged(row, 200, 20)) for members in batch} == {2}


@given(prompts, st.integers(1, 40), st.none() | st.integers(1, 30))
def test_every_prompt_is_in_one_batch_and_no_pass_is_above_the_budget(rows, budget, pass_tokens):
    batches = arranged(dict(enumerate(rows)), budget, pass_tokens)
    assert sorted(p for batch in batches for one in batch for p in one.members) == list(range(len(rows)))
    for batch in batches:
        assert [len(one.members) for one in batch] == sorted((len(one.members) for one in batch), reverse=True)
        widths = [len(rows[one.members[0]]) for one in batch]
        others = [len(rows[p]) - one.kept for one in batch for p in one.members[1:]]
        if len(batch) > 1:
            assert len(widths) * max(widths) <= budget
            assert not others or len(others) * max(others) <= budget
