"""Citations and quotations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.citations import citation_f1, cited, quotations_supported

SOURCES = {"1": "The cat sat on the mat. It purred.", "smith-2020": "Dogs bark — loudly — at night."}


def test_citations_are_found():
    assert cited("Cats sit [1, 2]; dogs bark [smith-2020]. See [1].") == {"1", "2", "smith-2020"}
    assert cited("No [citation here] at all, nor [].") == set()


def test_f1_of_citations_by_hand():
    assert citation_f1("So [1] and [2].", ["1", "3"]) == pytest.approx(0.5)
    assert citation_f1("So.", []) == 1.0
    assert citation_f1("".join(f"[{k}]" for k in range(10)), ["1"]) == pytest.approx(2 / 11)


def test_quotations_must_stand_in_the_source_that_is_cited():
    text = 'He says "the cat  SAT on" [1] and “dogs bark loudly” [smith-2020] but "dogs bark loudly" [1].'
    assert quotations_supported(text, SOURCES) == pytest.approx(2 / 3)
    assert quotations_supported('"the cat sat" [9]', SOURCES) == 0.0


def test_part_of_a_word_is_no_quotation():
    assert quotations_supported('"he cat sat on" [1]', SOURCES) == 0.0


@pytest.mark.parametrize("text", ["", "plain [1]", '"the cat" [1]', '"the cat sat on the mat"'])
def test_without_a_quotation_there_is_nothing_to_score(text):
    with pytest.raises(PolicyFault, match="no quotation"):
        quotations_supported(text, SOURCES)


@given(st.lists(st.sampled_from(["x", "y", "z"]), min_size=3, max_size=20))
def test_a_source_supports_what_is_copied_from_it(words):
    assert quotations_supported(f'"{" ".join(words)}" [s]', {"s": "w " + " ".join(words) + " w"}) == 1.0
