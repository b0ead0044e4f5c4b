"""The learner's loop: a learner that died is given the same draws again, and nothing is counted twice."""

from __future__ import annotations

import asyncio

from cluster.events import RoleLost
from envs.trajectory import Fragment
from pipelines.environment.learning import Learning
from pipelines.replay_shard import Standing

FRAGMENTS = [Fragment((0, 0, number), 0, 10, 1, {}, {}, []) for number in range(2)]
DRAWN = ((FRAGMENTS, Standing(0, 0, 1, 0)), "rows")


def learning_of(ground, learner, share):
    made = ground(share=share)
    made.shares.stands(0, Standing(2, 0, 0, 0), opening=True)
    return made, Learning(made, learner, None, {})


def test_an_update_publishes_the_weights_and_lets_more_be_begun(ground, scripted):
    learner = scripted("learner", None, ({"version": 1.0}, "weights"))
    learner.elastic, learner.roles = False, [learner]
    made, learning = learning_of(ground, learner, scripted("replay-0", DRAWN))
    assert asyncio.run(learning.update())
    assert made.board.newer_than(0) == "weights" and made.admission.version == 1
    assert made.books.status.updates == 1 and not asyncio.run(learning.update())


def test_a_learner_that_died_is_told_all_again_and_given_the_same_draw(ground, scripted):
    learner = scripted("learner", None, RoleLost, None, ({"version": 1.0}, "weights"))
    learner.elastic, learner.roles = False, [learner]
    made, learning = learning_of(ground, learner, share := scripted("replay-0", DRAWN, DRAWN))
    made.books.verdicts.caption_log.append((7, "a key"))

    async def rounds():
        return [await learning.update() for _ in range(2)]

    assert asyncio.run(rounds()) == [True, True]
    assert [call[:2] for call in share.calls] == [("draw", 0), ("draw", 0)]
    assert [call[2] for call in learner.calls if call[0] == "prepare"] == [{7: "a key"}, {7: "a key"}]
    assert made.books.status.updates == 1
