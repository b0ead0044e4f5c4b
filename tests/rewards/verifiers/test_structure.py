"""JSON against a schema: what is no JSON is a fault, what the schema forbids is a 0."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.structure import LONGEST, json_schema, read_json

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "age", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_allowed_and_forbidden_values():
    assert json_schema('{"name": "Ada", "age": 36}', PERSON) == 1.0
    assert json_schema('```json\n{"name": "Ada"}\n```', json.dumps(PERSON)) == 1.0
    assert json_schema('{"name": "ada"}', PERSON) == 0.0
    assert json_schema('{"age": 3}', PERSON) == 0.0


@given(anything)
def test_it_agrees_with_jsonschema_itself(value):
    assert json_schema(json.dumps(value), PERSON) == float(jsonschema.Draft202012Validator(PERSON).is_valid(value))


@given(anything)
def test_what_is_read_is_what_was_written(value):
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "completion",
    ["", "no", "{'a': 1}", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, "[" * 200 + "]" * 200, "9" * 5000, "1 2"],
)
def test_what_is_no_json_is_the_policys_fault(completion):
    with pytest.raises(PolicyFault):
        read_json(completion)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_that_no_float_can_hold_is_the_policys_fault(number):
    with pytest.raises(PolicyFault, match="too large"):  # and no OverflowError of who divides it
        json_schema(number, {"multipleOf": 0.5})


def test_a_fence_in_a_string_is_part_of_the_string():
    for value in ({"text": "write ```py``` here"}, {"text": "```{}```"}, ["```", "```"]):
        assert read_json(json.dumps(value)) == value
    assert read_json('Here it is:\n```json\n{"a": 1}\n```\nDone.') == {"a": 1}


def test_too_long_is_the_policys_fault():
    with pytest.raises(PolicyFault, match="at most"):
        read_json('"' + "x" * LONGEST + '"')


def test_a_wrong_schema_is_not_the_policys_fault():
    with pytest.raises(jsonschema.SchemaError):
        json_schema("1", {"type": "nonsense"})


def test_references_to_elsewhere_are_not_fetched():
    with pytest.raises(Exception, match=r"(?i)unresolvable"):
        json_schema("1", {"$ref": "http://127.0.0.1:1/schema.json"})


@pytest.mark.slow
def test_a_text_made_for_a_slow_pattern_is_given_up():
    with pytest.raises(PolicyFault, match="cannot be searched"):
        json_schema(json.dumps("a" * 200 + "b"), {"type": "string", "pattern": "^(a|aa)+$"})


def test_patterns_of_properties_are_checked_too():
    schema = {"patternProperties": {"^n_": {"type": "integer"}}}
    assert json_schema('{"n_a": 1, "x": "y"}', schema) == 1.0
    assert json_schema('{"n_a": "1"}', schema) == 0.0


def test_other_properties_are_found_without_a_pattern_that_hangs():
    schema = {"properties": {"a": {}}, "patternProperties": {"^n_": {}}, "additionalProperties": False}
    assert json_schema('{"a": 1, "n_b": 2}', schema) == 1.0
    assert json_schema('{"a": 1, "b": 2}', schema) == 0.0
    assert json_schema('{"b": "x"}', {"additionalProperties": {"type": "integer"}}) == 0.0
    assert json_schema('{"b": 1}', {"additionalProperties": {"type": "integer"}}) == 1.0


@pytest.mark.slow
def test_a_name_made_for_a_slow_pattern_is_given_up():
    schema = {"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}
    with pytest.raises(PolicyFault, match="cannot be searched"):
        json_schema(json.dumps({"a" * 200 + "b": 1}), schema)


@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
def test_properties_that_nothing_has_looked_at_are_found(draft):
    schema = {
        "$schema": f"https://json-schema.org/draft/{draft}/schema",
        "$defs": {"numbered": {"patternProperties": {"^n_": {"type": "integer"}}}},
        "allOf": [{"$ref": "#/$defs/numbered"}, {"properties": {"a": {}}}],
        "unevaluatedProperties": False,
    }
    for text, value in (('{"a": 1, "n_b": 2}', 1.0), ('{"n_b": "2"}', 0.0), ('{"b": 2}', 0.0), ("{}", 1.0)):
        assert json_schema(text, schema) == value, text


@pytest.mark.slow
@pytest.mark.parametrize("draft", ["2019-09", "2020-12"])
def test_they_are_found_without_a_pattern_that_hangs(draft):
    schema = {  # as text, it is looked at in this order
        "$schema": f"https://json-schema.org/draft/{draft}/schema",
        "unevaluatedProperties": False,
        "patternProperties": {"^(a|aa)+$": {}},
    }
    with pytest.raises(PolicyFault, match="cannot be searched"):
        json_schema(json.dumps({"a" * 32 + "b": 1}), json.dumps(schema))


@pytest.mark.slow
def test_items_are_told_apart_as_json_does_and_many_of_them_too():
    unique = {"uniqueItems": True}
    for text, value in (
        ("[1, true, 0, false]", 1.0),
        ("[1, 1.0]", 0.0),
        ('[{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]', 0.0),
    ):
        assert json_schema(text, unique) == value, text
    many = [{str(number): [number]} for number in range(10_000)]  # each with each would be 50 million comparisons
    assert json_schema(json.dumps(many), unique) == 1.0
    assert json_schema(json.dumps([*many, many[17]]), unique) == 0.0
