"""Search spaces: what a text means, what is refused, and that what is written is read back."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.sweeps.space import Choice, Grid, RandInt, Uniform, corners, parse_axis, parse_space, points, word


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("[1,2]", Grid((1, 2))),
        ("[ranking, null]", Grid(("ranking", None))),
        ("[[1, 2], [3]]", Grid(([1, 2], [3]))),
        ("choice(a, 'b,c')", Choice(("a", "b,c"))),
        ("choice([1, 2])", Choice((1, 2))),
        ("uniform(-1, 2.5)", Uniform(-1.0, 2.5)),
        ("loguniform(1e-5,1e-2)", Uniform(1e-5, 1e-2, log=True)),
        (" randint( 1 , 4 ) ", RandInt(1, 4)),
        ("16", None),
        ("my_lab.recipes:curious", None),
        ("cross the water (twice)", None),
        ("", None),
    ],
)
def test_what_a_text_means(text, axis):
    assert parse_axis("key", text) == axis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "one value at least"),
        ("choice()", "one value at least"),
        ("[1,2", "not a list"),
        ("[1] + [2]", "not a list"),
        ("[1,1]", "each value once"),
        ("[.nan,1]", "finite"),
        ("uniform(1)", "two numbers"),
        ("uniform(1,2,3)", "two numbers"),
        ("uniform(a,b)", "two numbers"),
        ("uniform(1,inf)", "finite"),
        ("uniform(2,2)", "low < high"),
        ("randint(4,1)", "low < high"),
        ("randint(0.5,2)", "whole numbers"),
        ("loguniform(0,1)", "above 0"),
        ("loguniform(-1,1)", "above 0"),
        ("normal(0,1)", "expected a list"),
        ("__import__(os)", "expected a list"),
    ],
)
def test_what_is_no_axis_is_refused_with_its_key(text, said):
    with pytest.raises(UserError, match=r"^some\.key: got ") as refused:
        parse_axis("some.key", text)
    assert said in str(refused.value)


def test_axes_are_told_from_overrides():
    space, rest = parse_space(["a=[1,2]", "frames=200", "b=uniform(0,1)"])
    assert space == {"a": Grid((1, 2)), "b": Uniform(0.0, 1.0)} and rest == ["frames=200"]
    assert points(space, samples=3) == 6
    with pytest.raises(UserError, match="nothing to search"):
        parse_space(["frames=200"])
    with pytest.raises(UserError, match="twice"):
        parse_space(["a=[1,2]", "a=3"])


def test_a_space_is_checked_at_every_value_and_at_the_ends_and_within():
    found = list(corners({"a": Grid((1, 2)), "b": Uniform(0.0, 100.0), "c": RandInt(3, 5)}))
    assert {point["a"] for point in found} == {1, 2}
    assert {point["b"] for point in found} == {0.0, 37.0, 100.0}
    assert {point["c"] for point in found} == {3, 4}


def test_a_value_is_checked_even_where_there_are_more_combinations_than_are_tried():
    found = list(corners({key: Grid(tuple(range(20))) for key in "abc"}, limit=10))
    assert len(found) == 70 and all({point[key] for point in found} == set(range(20)) for key in "abc")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="ascii"))


@given(SCALARS | st.lists(SCALARS, max_size=3))
def test_a_word_is_read_back_as_the_value(value):
    assert parse([word("key", value)]) == {"key": value}


@given(st.lists(st.integers() | st.sampled_from("abc"), min_size=1, max_size=5, unique_by=repr))
def test_a_written_list_is_its_grid(values):
    assert parse_axis("key", yaml.safe_dump(values, default_flow_style=True)) == Grid(tuple(values))


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_bounds_are_taken_in_order_and_refused_out_of_it(a, b):
    if a < b:
        assert parse_axis("key", f"loguniform({a!r},{b!r})") == Uniform(a, b, log=True)
    else:
        with pytest.raises(UserError, match="low < high"):
            parse_axis("key", f"loguniform({a!r},{b!r})")


@given(st.text())
def test_any_text_is_an_axis_a_plain_value_or_refused(text):
    try:
        parse_axis("key", text)
    except UserError as refused:
        assert str(refused).startswith("key: got ")
