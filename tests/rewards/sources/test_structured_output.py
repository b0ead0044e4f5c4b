from __future__ import annotations

import pytest

from rewards.sources.structured_output import structured_output

WANTED = {"a": 1, "b": {"c": "x", "d": [1, 2]}}


def test_what_does_not_parse_is_neither_valid_nor_correct_and_a_perfect_output_earns_all_weights():
    assert structured_output('{"a": 1, "b": {"c": "x"', WANTED) == (0, 0, 0, 0)
    perfect = structured_output('{"b": {"d": [1, 2], "c": "x"}, "a": 1}', WANTED)
    assert perfect == (1, 1, 1, 1) and perfect.total() == 4.0
    assert structured_output("[1, 2]", WANTED).total() == 0


def test_keys_count_by_their_path_and_values_by_equality():
    found = structured_output('{"a": 2, "b": {"c": "x"}, "d": [1, 2]}', WANTED)
    assert found.structure == pytest.approx(2 / 3) and found.correct == pytest.approx(1 / 3) and found.form == 1


def test_text_around_it_costs_the_form_alone():
    found = structured_output('Here:\n```json\n{"a": 1}\n```', {"a": 1})
    assert found == (1, 0, 1, 1)


def test_a_boolean_is_no_number_and_a_reference_must_have_keys():
    assert structured_output('{"a": true}', {"a": 1}).correct == 0
    assert structured_output('{"a": 1}', {"a": 1.0}).correct == structured_output('{"a": 1.0}', {"a": 1}).correct == 1
    with pytest.raises(ValueError, match="at least one"):
        structured_output("{}", {})
