"""JSON of a given form.

The text is data and stays data: no duplicate keys, no NaN, a bounded size and depth, and references in a schema that
lead elsewhere are refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from types import FunctionType, SimpleNamespace
from typing import Any, TypeVar

import jsonschema
import referencing

from rewards.functions import PolicyFault, reward
from rewards.verifiers.patterns import search

LONGEST = 200_000
"""Characters of JSON that are read."""

DEEPEST = 100

T = TypeVar("T", int, float)


def read_json(completion: str) -> Any:
    """The JSON of a completion: all of it, or, where that is none, what stands in its only code fence.

    Raises:
        PolicyFault: there is none, it is no JSON, or it is too long or too deep.
    """
    text = completion.strip()
    fences = text.split("```")
    if len(fences) == 3:
        with suppress(PolicyFault):  # the fence may stand in one of its strings
            return _value(text)
        text = fences[1].removeprefix("json").strip()
    return _value(text)


def _value(text: str) -> Any:
    if len(text) > LONGEST:
        raise PolicyFault(f"got {len(text)} characters of JSON; expected at most {LONGEST}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse,
            parse_float=lambda number: _sized(float(number)),
            parse_int=lambda number: _sized(int(number)),
        )
    except (ValueError, RecursionError) as error:
        raise PolicyFault(f"no JSON: {str(error)[:200]}") from None
    if _depth(value) > DEEPEST:
        raise PolicyFault(f"got JSON nested deeper than {DEEPEST}")
    return value


@reward(subject="episode")
def json_schema(completion: str, schema: Mapping[str, Any] | str) -> float:
    """1 if the completion is JSON that a schema allows, 0 if it is JSON that the schema does not allow.

    Args:
        completion: what the policy wrote; a policy fault where it is no JSON.
        schema: JSON Schema (draft 2020-12 unless it says another), as a mapping or as text.
    """
    text = schema if isinstance(schema, str) else json.dumps(schema, sort_keys=True)
    checker = _checker(text)
    return float(checker.is_valid(read_json(completion)))


@lru_cache(maxsize=256)
def _checker(text: str) -> Any:
    schema = json.loads(text)
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    kind.check_schema(schema)
    patched: dict[str, Any] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    if found := kind.VALIDATORS.get("unevaluatedProperties"):
        patched["unevaluatedProperties"] = _patient(found)
    patient = jsonschema.validators.extend(kind, patched)  # type: ignore[no-untyped-call]
    return patient(schema, registry=referencing.Registry())  # an empty registry: nothing is fetched from elsewhere


def _pattern(checker: Any, pattern: str, instance: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not search(pattern, instance):
        yield jsonschema.ValidationError(f"no match of {pattern!r}")


def _pattern_properties(
    checker: Any, patterns: Any, instance: Any, schema: Any
) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if search(pattern, key):
                    yield from checker.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(
    checker: Any, allowed: Any, instance: Any, schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """The library's own looks for patterns by `re`, which has no deadline."""
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    for key, value in instance.items():
        if key not in known and not any(search(pattern, key) for pattern in patterns):
            yield from checker.descend(value, allowed, path=key)


def _patient(keyword: FunctionType) -> FunctionType:
    """The library's own function, with searches that have a deadline in the place of those by `re`."""
    helper = "find_evaluated_property_keys_by_schema"  # it asks itself, for what schemas hold within schemas
    names = {**keyword.__globals__[helper].__globals__, "re": SimpleNamespace(search=search)}
    names[helper] = FunctionType(keyword.__globals__[helper].__code__, names)
    return FunctionType(keyword.__code__, {**keyword.__globals__, helper: names[helper]})


def _unique_items(checker: Any, unique: Any, instance: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    """The library's own compares each with each: minutes for what a policy can write."""
    if unique and isinstance(instance, list) and len(set(map(_key, instance))) < len(instance):
        yield jsonschema.ValidationError("an item comes twice")


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal: 1 and 1.0 are, 1 and true are not."""
    return _key(one) == _key(other)


def _key(value: Any) -> str:
    """A text that two values of JSON share where they are equal."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _sized(number: T) -> T:
    """A number that a float can hold: with others, whoever computes fails for what the policy has written."""
    if abs(number) > sys.float_info.max:
        raise ValueError("a number is too large")
    return number


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST:
        deepest += 1
        level = [
            item
            for one in level
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest
