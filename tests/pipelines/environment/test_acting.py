"""Rollouts: each is counted once, however its actor and its share of the replay end."""

from __future__ import annotations

import asyncio

from cluster.events import RoleLost
from envs.storage.writers import Ack
from envs.trajectory import Fragment
from pipelines.environment.acting import Acting
from pipelines.replay_shard import Standing

PLAYED = Fragment((0, 0, 0), 3, 10, 1, {}, {}, [])


def act_once(ground, *actors):
    return asyncio.run(Acting(ground, actors, None).turn())


def test_a_rollout_is_stored_and_counted(ground, scripted):
    made = ground({"actors.count": 1}, share=scripted("replay-0", (Ack.STORED, Standing(1, 0, 0, 0))))
    assert act_once(made, scripted("env-actor-0", (PLAYED, "rows"))) == [PLAYED]
    assert made.books.status.frames == 10 and made.admission.running == 0 and made.shares.waiting == 1


def test_an_actor_that_dies_loses_its_rollout_and_is_told_the_weights_anew(ground, scripted):
    made = ground({"actors.count": 1}, share=scripted("replay-0", *[(Ack.STORED, Standing(1, 0, 0, 0))] * 2))
    made.board.publish(3, "weights")
    actor = scripted("env-actor-0", (PLAYED, "rows"), RoleLost, (PLAYED, "rows"))
    acting = Acting(made, [actor], None)

    async def rounds():
        return [await acting.turn() for _ in range(3)]

    assert asyncio.run(rounds()) == [[PLAYED], [], [PLAYED]]
    assert [weights for _, weights, _ in actor.calls] == ["weights", None, "weights"]
    assert made.books.status.lost_fragments == 1 and made.admission.running == 0


def test_a_share_that_died_with_the_rows_on_its_disk_is_believed_once(ground, scripted):
    stands = Standing(1, 0, 0, 0)
    made = ground(
        {"actors.count": 1}, share=scripted("replay-0", RoleLost, (Ack.DUPLICATE, stands), (Ack.DUPLICATE, stands))
    )
    actor = scripted("env-actor-0", (PLAYED, "rows"), (PLAYED, "rows"))
    act_once(made, actor)
    assert made.books.status.frames == 10
    act_once(made, actor)
    assert made.books.status.frames == 10 and made.admission.running == 0


def test_rows_that_no_share_takes_are_lost_and_counted(ground, scripted):
    made = ground({"actors.count": 1}, share=scripted("replay-0", *[RoleLost] * 5))
    act_once(made, scripted("env-actor-0", (PLAYED, "rows")))
    assert made.books.status.frames == 0 and made.books.status.lost_fragments == 1
    assert made.admission.running == 0
