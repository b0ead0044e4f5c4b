from __future__ import annotations

import numpy as np
import pytest

from rewards.credit.likelihood import path_faithfulness, support

NAN = np.nan


def test_support_is_the_weighted_likelihood_of_the_references_that_are_there():
    logs = np.log([[0.5, 0.25], [0.1, 0.3]])
    assert support(logs, [1.0, 1.0]).tolist() == pytest.approx([0.375, 0.2])
    assert support(logs, [3.0, 1.0]).tolist() == pytest.approx([0.4375, 0.15])
    found = support([[np.log(0.5), NAN], [NAN, NAN]], [1.0, 1.0])
    assert found[0] == pytest.approx(0.5) and np.isnan(found[1])
    with pytest.raises(ValueError, match="expected none above 0"):
        support([[0.1]], [1.0])


def test_the_gold_chain_itself_is_worth_the_likelihood_of_what_is_left_of_it():
    # After step 1 the rest begins at step 2 or is the answer alone; after step 2 only the answer is left.
    logs = np.log([[0.2, 0.8, 0.5], [0.1, 0.1, 0.9]])
    np.testing.assert_allclose(path_faithfulness(logs, aligned=True), [0.8, 0.9])
    np.testing.assert_allclose(path_faithfulness(logs), [0.8, 0.9])
    np.testing.assert_allclose(path_faithfulness(np.log([[0.9, 0.8, 0.5]])), [0.9])


def test_with_the_answer_alone_gains_telescope():
    answer = np.log([[0.1], [0.4], [0.9]])
    found = path_faithfulness(answer)
    assert np.diff(np.log(found)).sum() == pytest.approx(np.log(0.9) - np.log(0.1))
    assert np.isnan(path_faithfulness([[np.log(0.5)], [NAN]])[1])
