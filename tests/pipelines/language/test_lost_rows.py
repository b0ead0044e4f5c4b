"""Rows that are gone with the node of their engine are taken from where they were stored; a run does not end of it."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest
from ray.exceptions import ObjectLostError

from pipelines.language.groups import GroupReport
from pipelines.language.writing import rows_of


def report(group: int, members: int = 2) -> GroupReport:
    ids = tuple(f"{group}/{member}" for member in range(members))
    return GroupReport((0, 0, group), group, "p", ids, 0, 0, 10, members, {"stop": members})


def batch(*groups: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"group": [group for group in groups for _ in range(2)]})


@pytest.mark.parametrize("lost", [None, "raises", "never comes"])
def test_rows_come_from_the_engine_or_else_from_the_share_that_stored_them(lost):
    reports, asked = [report(3), report(4), report(5)], []

    async def stored(keys):
        asked.append(keys)
        return [batch(group) for _, _, group in keys]

    async def run():
        reference = asyncio.get_running_loop().create_future()
        if lost is None:
            reference.set_result(batch(3, 4, 5))
        elif lost == "raises":
            reference.set_exception(ObjectLostError("00" * 28, None, ""))
        return await rows_of(reference, reports, [reports[0], reports[2]], 300.0 if lost is None else 0.05, stored)

    found = asyncio.run(run())
    assert {group: found[group].column("group").to_pylist() for group in (3, 5)} == {3: [3, 3], 5: [5, 5]}
    assert asked == ([] if lost is None else [[(0, 0, 3), (0, 0, 5)]])
