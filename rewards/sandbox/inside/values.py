"""Plain data across the wall: what a test hands to the code under test, and what that hands back.

JSON with tags for what JSON lacks. Only plain data crosses, and it is built anew on the other side from Python's own
types, so no comparison ever runs a method that the code under test has written. Anything else stays where it is and
crosses as a number that stands for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PLAIN_INTEGERS = 1 << 53


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """Value as what `json.dumps` takes; `keep` gives a number for what is not plain data."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        whole = int(value)
        return whole if -PLAIN_INTEGERS < whole < PLAIN_INTEGERS else {"int": hex(whole)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, list):
        return [encode(item, keep) for item in value]
    for kind, name in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if isinstance(value, kind):
            return {name: [encode(item, keep) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    if hasattr(type(value), "tolist") and hasattr(type(value), "dtype"):  # arrays and their scalars
        return encode(value.tolist(), keep)
    return {"object": keep(value)}


def decode(value: Any, find: Callable[[int], Any]) -> Any:
    """What was encoded; `find` gives what stands for a number.

    Raises:
        ValueError: nothing that `encode` makes.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [decode(item, find) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "int":
            return int(content, 16)
        if tag == "complex":
            return complex(*content)
        if tag == "bytes":
            return bytes.fromhex(content)
        if tag == "tuple":
            return tuple(decode(item, find) for item in content)
        if tag == "set":
            return {decode(item, find) for item in content}
        if tag == "frozenset":
            return frozenset(decode(item, find) for item in content)
        if tag == "dict":
            return {decode(key, find): decode(item, find) for key, item in content}
        if tag == "object":
            return find(int(content))
    raise ValueError("got data that no value is encoded as")
