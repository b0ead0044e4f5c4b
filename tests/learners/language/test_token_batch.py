from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.layout import deal, lay_out
from learners.language.token_batch import TokenBatch, build_token_batch

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def test_an_advantage_is_shared_by_the_tokens_of_its_sequence_and_a_reward_is_paid_at_the_last_own_one():
    batch = build_token_batch(
        [[1, 2, 3], [4, 5, 6, 7]],
        [[False, True, True], [False, True, True, False]],
        advantages=[0.5, [0, 1, 2, 0]],
        rewards=[2.0, 3.0],
    )
    assert batch.streams["advantages"].tolist() == [0.5, 0.5, 0.5, 0, 1, 2, 0]
    assert batch.streams["rewards"].tolist() == [0, 0, 2, 0, 0, 3, 0]
    assert batch.weights.tolist() == [0, 1, 1, 0, 1, 1, 0]
    assert batch.sequence.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_what_is_not_known_is_not_a_number_and_has_no_weight():
    batch = build_token_batch([[1, 2], [3, 4]], [[False, True]] * 2, advantages=[None, 1.0])
    assert batch.streams["advantages"].isnan().tolist() == [True, True, False, False]
    assert batch.weights.tolist() == [0, 0, 0, 1]
    rewarded = build_token_batch([[1, 2, 3]], [[False, True, True]], rewards=[None])
    assert rewarded.weights.tolist() == [0, 0, 0]


def test_selecting_keeps_what_belongs_together(make_batch):
    batch = make_batch(advantages=[1.0, 2.0, 3.0, 4.0], facts={"scores": [1, 2, 3, 4]})
    some = batch.select(torch.tensor([2, 0]))
    assert some.lengths.tolist() == [7, 5] and some.row_ids == ("row-2", "row-0")
    assert some.facts["scores"].tolist() == [3, 1]
    assert some.streams["advantages"].tolist() == [3.0] * 7 + [1.0] * 5
    assert some.token_ids.tolist() == batch.token_ids[14:21].tolist() + batch.token_ids[:5].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss_mask": torch.tensor([True, False, True])}, "True at the first token"),
        ({"loss_mask": torch.tensor([True])}, "expected one number a token"),
        ({"lengths": torch.tensor([2])}, "whose lengths add up"),
        ({"lengths": torch.tensor([3, 0])}, "none empty"),
        ({"streams": {"weights": torch.ones(2)}}, "got weights of shape"),
        ({"facts": {"scores": torch.ones(2)}}, "expected one number a sequence"),
        ({"row_ids": ("a", "b")}, "got 2 row_ids for 1 sequences"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    given = {
        "token_ids": torch.tensor([1, 2, 3]),
        "lengths": torch.tensor([3]),
        "loss_mask": torch.tensor([False, True, True]),
    }
    with pytest.raises(ValueError, match=message):
        TokenBatch(**{**given, **change})


def test_streams_of_another_length_and_too_few_advantages_are_refused():
    with pytest.raises(ValueError, match="got behaviour_log_probs of shapes"):
        build_token_batch([[1, 2]], [[False, True]], streams={"behaviour_log_probs": [[0.0]]})
    with pytest.raises(ValueError, match="got 1 numbers or arrays for 2 sequences"):
        build_token_batch([[1, 2], [1, 2]], [[False, True]] * 2, advantages=[1.0])
    with pytest.raises(ValueError, match="without rewards; expected them beside"):
        build_token_batch([[1, 2]], [[False, True]]).stream("rewards")


@given(lengths=LENGTHS, budget=st.integers(1, 30), style=st.sampled_from(["padded", "packed", "shared"]))
def test_every_sequence_is_in_one_pass_and_passes_keep_to_their_budget(lengths, budget, style):
    sizes = torch.tensor(lengths)
    passes = deal(sizes, budget, style)
    assert sorted(torch.cat(passes).tolist()) == list(range(len(lengths)))
    for one in passes:
        cost = sizes[one].max() * len(one) if style == "padded" else sizes[one].sum()
        assert cost <= budget or len(one) == 1


def test_pairs_are_never_parted():
    passes = deal(torch.tensor([3, 9, 1, 1, 4, 4]), 10, unit=2)
    assert [one.tolist() for one in passes] == [[0, 1], [4, 5], [2, 3]]
    with pytest.raises(ValueError, match="expected a multiple of 2"):
        deal(torch.tensor([1]), 10, unit=2)


@given(lengths=LENGTHS, budget=st.integers(1, 30), style=st.sampled_from(["padded", "packed"]))
def test_every_token_lies_in_its_place_and_positions_begin_again(lengths, budget, style):
    sizes = torch.tensor(lengths)
    token_ids = torch.arange(1, int(sizes.sum()) + 1)
    found = lay_out(token_ids, sizes, torch.zeros(len(token_ids), dtype=torch.bool), style, budget)
    assert found.input_ids.flatten()[found.place].tolist() == token_ids.tolist()
    assert (
        found.position_ids.flatten()[found.place].tolist() == np.concatenate([np.arange(n) for n in lengths]).tolist()
    )
    assert int((found.input_ids > 0).sum()) == len(token_ids)
    if style == "padded":
        assert found.input_ids.shape == (len(lengths), max(lengths))
    else:
        assert found.input_ids.shape[1] <= max(budget, *lengths)


@given(
    rows=st.lists(st.tuples(st.sampled_from([(1,), (1, 2), (3, 1)]), st.lists(st.booleans(), max_size=5)), min_size=1),
    style=st.sampled_from(["padded", "packed", "shared"]),
)
def test_what_no_own_token_comes_after_is_left_out_and_every_own_one_has_its_state(rows, style):
    masks = [[False] * len(prompt) + own for prompt, own in rows]
    ids = torch.tensor([token for prompt, own in rows for token in (*prompt, *range(10, 10 + len(own)))])
    sizes, mask = torch.tensor([len(one) for one in masks]), torch.tensor([one for row in masks for one in row])
    found = lay_out(ids, sizes, mask, style, 16, whole=False)
    states, before = found.states(mask), mask.nonzero()[:, 0] - 1
    within = torch.cat([torch.arange(n) for n in sizes.tolist()])
    assert found.input_ids.flatten()[states].tolist() == ids[before].tolist()
    assert found.position_ids.flatten()[states].tolist() == within[before].tolist()
    needed = [max(1, max((place for place, own in enumerate(one) if own), default=0)) for one in masks]
    left = [place < n for one, n in zip(masks, needed, strict=True) for place in range(len(one))]
    assert (found.place >= 0).tolist() == left
    assert found.input_ids.shape[1] <= max(needed) or style != "padded"
