"""The chaos experiment of the reward server: its troubled judge, its story, and what the table claims."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from benchmarks import reward_server_chaos as chaos
from benchmarks.reward_server_chaos import Kill, Story, Troubled, report
from pipelines.results import read_result
from rewards.annotation.annotator import Annotator
from rewards.annotation.hedging import Hedging
from rewards.annotation.ledger import AnnotationLedger
from rewards.judges.rules import RulesJudge
from rewards.questions import caption_question


def story_of(**changes):
    story = Story({"1", "2"}, Counter({"1": 1, "2": 1}), [Kill("killed", 0.0, 2.0)], views=9, longest_view_gap_s=0.1)
    for name, value in changes.items():
        setattr(story, name, value)
    return story


def books():
    return AnnotationLedger(chaos.QUEUEING, "x", "v1", time.monotonic).ledger()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"asked": {"1", "2", "3"}}, False),
        ({"verdicts": Counter({"1": 1, "2": 2})}, False),
        ({"kills": [Kill("killed", 0.0)]}, False),
        ({"kills": []}, False),
        ({"longest_view_gap_s": 3.0}, False),
    ],
)
def test_the_claim_falls_with_each_of_its_parts(tmp_path, changes, holds):
    result = report(story_of(**changes), books(), Hedging(), "repeat me", tmp_path)
    assert result.holds is holds and read_result(tmp_path / "reward-server-chaos.json") == result


def test_a_new_process_takes_the_place_of_the_one_hit_first():
    story = story_of(kills=[Kill("killed", time.monotonic() - 5), Kill("stopped", time.monotonic())], processes={1, 2})
    story.answered(2)
    assert story.kills[0].recovered_s is None
    story.answered(3)
    assert story.kills[0].recovered_s >= 5 and story.kills[1].recovered_s is None


def test_under_a_judge_that_is_in_trouble_half_of_the_time_each_question_gets_one_verdict(monkeypatch):
    monkeypatch.setattr(chaos, "DEADLINE_S", 0.05)
    judge, story = Troubled(RulesJudge(), 0.5, seed=1), Story()
    settings = {"batch_size": 4, "deadline_s": 0.05, "backoff_s": 0.001, "backoff_max_s": 0.01, "max_attempts": 50}
    config = chaos.QUEUEING.model_copy(update={**settings, "breaker_cooldown_s": 0.01})
    ledger = AnnotationLedger(config, "intrinsic", "v1", time.monotonic)

    async def call(questions):
        return judge.fingerprint, await judge.judge(questions)

    async def go():
        async with Annotator(ledger, call, on_verdicts=story.settled) as annotator:
            for k in range(100):
                question = caption_question(f"You see here {k} gold pieces.")
                story.asked.add(question.subject)
                annotator.post(question)
            await annotator.drain(250.0)

    asyncio.run(go())
    found = ledger.ledger()
    assert (story.lost, story.twice, found.balanced, len(story.verdicts)) == (0, 0, True, 100)
    assert found.retries > 0 and {cause.split(":")[0] for cause in found.causes} >= {"judge_fault", "timeout"}
