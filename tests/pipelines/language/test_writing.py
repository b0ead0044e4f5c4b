"""Engines that die at what only one of them is asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from cluster.events import RoleLost
from pipelines.language.writing import Writing


class Dying:
    async def call(self, method, *args):
        raise RoleLost(f"engine-0: killed at {method}")


def test_an_engine_that_died_while_it_was_looked_at_is_known_to_have_no_weights():
    lost = []

    async def with_call(index):
        return None  # it has the newest

    delivery = SimpleNamespace(with_call=with_call, lost=lost.append)
    ground, books = SimpleNamespace(delivery=delivery), SimpleNamespace(looked=lost.append)
    asyncio.run(Writing.look(SimpleNamespace(engines=[Dying()], _ground=ground, _books=books)))
    assert lost == [0]
