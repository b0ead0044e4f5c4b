"""Names of which it is sure that they are new."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from rewards.verdict_names import Names, hashes


def number(text: str) -> int:
    """The hash of one name, byte by byte."""
    data, base, end = text.encode(), 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
    return (sum(byte * pow(base, at, 2**64) for at, byte in enumerate(data)) + len(data) * end) % 2**64


@given(st.lists(st.text(max_size=40), max_size=12), st.integers(0, 3), st.integers(0, 3))
def test_hashes_are_those_of_each_name_by_itself_also_in_a_slice(texts: list[str], skip: int, cut: int) -> None:
    names = pa.array(texts, pa.string())
    some = names.slice(min(skip, len(texts)), max(0, len(texts) - skip - cut))
    assert hashes(some).tolist() == [number(text) for text in some.to_pylist()]


@given(st.lists(st.sets(st.integers(0, 300), max_size=20), max_size=20), st.sets(st.integers(0, 300), max_size=5))
def test_what_came_before_is_known_and_what_did_not_is_new(puts: list[set[int]], asked: set[int]) -> None:
    def named(numbers: set[int]) -> np.ndarray:
        return hashes(pa.array([f"0/0/{one}/1" for one in sorted(numbers)], pa.string()))

    names = Names()
    for one in puts:
        names.add(named(one))
    assert names.may_have(named(asked)) == bool(asked & set().union(*puts))
