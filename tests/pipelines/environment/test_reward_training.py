"""The reward trainer: whoever died is told everything again, and a reward that begins anew is forgotten whole."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from cluster.events import RoleLost
from pipelines.environment.ground import Ground
from pipelines.environment.reward_training import PAUSE_S, RewardTraining


class Report(NamedTuple):
    metrics: dict[str, float]
    sha256: str


def with_captions(ground: Ground, captions) -> Ground:
    ground.books.verdicts = SimpleNamespace(
        caption_log=captions, counted=["a verdict"], reward_version="v1", annotation=None
    )
    return ground


def test_a_trainer_that_died_is_told_everything_again_and_trains_after_all(ground, scripted):
    made = with_captions(ground({"reward.source": "classification"}), [(1, "a key"), (2, "a door")])
    role = scripted("reward-trainer", (Report({}, "ab"), "first"), RoleLost, (Report({}, ""), None))
    training = RewardTraining(made, role, {})

    async def twice():
        await training.train(5)
        made.books.verdicts.caption_log.append((3, "a wall"))
        await training.train(0)

    asyncio.run(twice())
    captions = [call[1] for call in role.calls]
    assert captions == [{1: "a key", 2: "a door"}, {3: "a wall"}, {1: "a key", 2: "a door", 3: "a wall"}]
    assert [call[3] for call in role.calls] == [5, 0, 0] and training.told == 1
    assert made.news_for("learner", 0)[2] == "first"  # what was published last


def test_what_was_saved_of_a_reward_that_begins_anew_is_not_gone_back_to(ground, scripted):
    made = with_captions(ground({"reward.source": "classification"}), [(1, "a key")])
    saved = {"trainer": "of the reward before", "learner": "kept"}
    role = scripted("reward-trainer", (Report({}, ""), None), RoleLost, None, (Report({}, ""), None))
    training = RewardTraining(made, role, saved)

    async def anew():
        await training.train(0)
        await training.begin_anew()
        await training.train(0)

    asyncio.run(anew())
    assert saved == {"trainer": None, "learner": "kept"}
    assert [call[0] for call in role.calls] == ["step", "begin_anew", "begin_anew", "step"]
    assert role.calls[-1][1] == {1: "a key"}


@pytest.mark.parametrize("died", [False, True])
def test_a_pause_is_made_by_the_process_and_may_be_waited_for(died, ground, scripted):
    """Who is awake when something is saved answers at once; one that dies asleep is told everything again."""
    made = with_captions(ground({"reward.source": "classification"}), [(1, "a key")])
    resting, woken = asyncio.Event(), asyncio.Event()

    class Sleeper(scripted):
        async def call(self, method, *args, **options):
            if method == "rest":
                self.allowed_s = options["deadline_s"]
                resting.set()
                await woken.wait()
            return await super().call(method, *args, **options)

    role = Sleeper("reward-trainer", (Report({}, ""), None), RoleLost if died else None, (Report({}, ""), None))
    training = RewardTraining(made, role, {})

    async def rests():
        loop = asyncio.create_task(training.train_for_ever())
        await resting.wait()
        assert training.awake.locked() and role.allowed_s == role.deadline_s + PAUSE_S
        saving = asyncio.create_task(training.awake.acquire())
        await asyncio.sleep(0)
        assert not saving.done()
        made.books.stopping = "the test"
        woken.set()
        await asyncio.gather(saving, loop)
        await training.train(0)

    asyncio.run(rests())
    assert [call[0] for call in role.calls] == ["step", "rest", "step"] and role.calls[1][1] == PAUSE_S
    assert role.calls[2][1] == ({1: "a key"} if died else {})


def test_a_pause_that_is_felt_is_not_made_by_the_process(ground, scripted):
    made = with_captions(ground({"reward.source": "classification", "verdict_wait_s": 5.0}), [(1, "a key")])
    role = scripted("reward-trainer", (Report({}, ""), None))

    async def stops():
        loop = asyncio.create_task(RewardTraining(made, role, {}).train_for_ever())
        while not role.calls:
            await asyncio.sleep(0)
        made.books.stopping = "the test"
        await loop

    asyncio.run(stops())
    assert [call[0] for call in role.calls] == ["step"]
