import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.engines.length_batches import length_batches

texts = st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=20)


def batches(tokens, most, left_out=()):
    mask = np.array([place in left_out for place in range(len(tokens))], np.bool_)
    return length_batches(np.array(tokens, np.int64), mask, most)


def test_texts_are_batched_by_length_under_a_budget_of_padded_tokens():
    assert batches([4, 9, 3, 30], 10) == [[2, 0], [1], [3]]
    assert batches([4, 9, 3, 30], 10, left_out=(2, 3)) == [[0], [1]]
    assert batches([5, 5, 5], 10) == [[0, 1], [2]]
    assert batches([], 10) == []


@given(texts, st.integers(1, 60))
def test_each_text_is_in_one_batch_and_only_a_long_one_is_above_the_budget(found, most):
    tokens, left_out = np.array([n for n, _ in found], np.int64), np.array([out for _, out in found], np.bool_)
    made = length_batches(tokens, left_out, most)
    assert sorted(place for batch in made for place in batch) == np.flatnonzero(~left_out).tolist()
    assert all(len(batch) == 1 or len(batch) * tokens[batch].max() <= most for batch in made)
    lengths = [tokens[place] for batch in made for place in batch]
    assert lengths == sorted(lengths)
