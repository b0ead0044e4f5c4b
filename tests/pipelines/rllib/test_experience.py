"""Captions out of RLlib's infos, rewards at the right step, and the books of what was sampled; no Ray."""

import numpy as np
import pytest

from envs.captions import caption_id
from envs.trajectory import Fragment
from pipelines.experiment import RewardConfig
from pipelines.rllib.desk import Desk
from pipelines.rllib.environment import CaptionedEnv
from pipelines.rllib.experience import SampleBooks, captions_of, fragment_of
from pipelines.rllib.rewards import BatchRewards, Chunk
from rewards.models.retrieval import RetrievalModel
from rewards.questions import caption_question
from rewards.verdicts import Status, Verdict

KEY = (1, 7, 0)


def said(text, count=1):
    return {"caption": text, "caption_id": caption_id(text), "caption_count": count}


def verdict(text, value):
    question = caption_question(text)
    return Verdict(
        subject=question.subject,
        subject_kind="caption",
        component="intrinsic",
        reward_version="v",
        value=value,
        status=Status.OK,
        judge_fingerprint="judge",
        text=text,
    )


def news_of(*verdicts):
    model, desk = RetrievalModel(), Desk()
    model.add(list(verdicts))
    desk.publish([], model.snapshot())
    return desk.news(0, 0)


def fragment(number, frames=4, rows=1, epoch=7):
    return Fragment((1, epoch, number), 0, frames, rows, {}, {}, [])


def test_a_caption_belongs_to_the_step_that_led_to_its_info():
    told = captions_of([{}, said("You see a key.", 2), {}])
    assert told.ids.tolist() == [0, caption_id("You see a key."), 0]
    assert told.counts.tolist() == [0, 2, 0]


def test_rewards_join_the_right_steps_of_an_episode_that_was_cut():
    config = RewardConfig(source="retrieval", intrinsic_coefficient=0.5, count_exponent=1.0)
    rewards = BatchRewards(config)
    rewards.hear(news_of(verdict("key", 1.0), verdict("door", 0.4)))
    first = Chunk([{}, said("key")], np.array([0.0, 0.0], np.float32), False, KEY)
    second = Chunk([said("key", 2), {}, said("door")], np.array([0.0, 0.0, 1.0], np.float32), True, KEY)
    (a, b), paid = rewards([first, second])
    assert a.reward.tolist() == pytest.approx([0.0, 0.5])
    assert b.reward.tolist() == pytest.approx([0.25, 0.0, 1.2])
    assert (paid.steps, paid.captioned, paid.annotated) == ({KEY: (2, 5)}, 3, 3)


def test_what_has_no_verdict_is_null_and_no_zero():
    chunk = Chunk([said("key"), {}], np.array([2.0, 3.0], np.float32), False, KEY)
    (omitted,), paid = BatchRewards(RewardConfig(source="retrieval", on_null="omit"))([chunk])
    assert omitted.reward.tolist() == [2.0, 3.0] and omitted.counts.all()
    assert (paid.captioned, paid.annotated, paid.metrics["null_intrinsic"]) == (1, 0, 1.0)
    (masked,), _ = BatchRewards(RewardConfig(source="retrieval", on_null="mask"))([chunk])
    assert masked.counts.tolist() == [False, True]


def test_a_novelty_bonus_is_refused():
    with pytest.raises(ValueError, match="novelty is learnt in Guerdon's own learner"):
        BatchRewards(RewardConfig(source="count"))


def test_a_fragment_sends_each_caption_once_and_names_the_episodes_that_ended():
    sent: set[int] = set()
    end = {"episode_env_return": 1.5, "episode_steps": 9, "episode_truncated": False, "episode_success": np.True_}
    one = fragment_of(KEY, [("a", [said("key"), {}]), ("b", [{**said("key"), **end}])], 3, sent)
    assert one.captions == {caption_id("key"): "key"} and one.caption_steps == {caption_id("key"): 2}
    assert (one.frames, one.rows, one.policy_version) == (3, 2, 3)
    assert [(e.env_return, e.length_steps, e.success, e.truncated) for e in one.episodes] == [(1.5, 9, True, False)]
    assert fragment_of(KEY, [("c", [said("key", 2)])], 3, sent).captions == {}


def test_books_balance_while_steps_are_on_their_way_whoever_reports_first():
    books = SampleBooks()
    books.trained({(1, 7, 0): (1, 3)})
    assert not books.ledger().balanced  # nobody has heard of that fragment yet
    assert books.sampled(fragment(0)) and not books.sampled(fragment(0))
    assert books.ledger().balanced and books.ledger().live.frames == 1
    books.trained({(1, 7, 0): (0, 1)})
    assert books.ledger().balanced and books.ledger().consumed.fragments == 1
    books.trained({(1, 7, 0): (0, 1)})  # more than there was
    assert not books.ledger().balanced
    assert books.ledger().duplicates == 1


def test_a_runner_that_was_started_again_is_another_writer():
    books = SampleBooks()
    assert books.sampled(fragment(0)) and books.sampled(fragment(1))
    assert books.sampled(fragment(0, epoch=8)) and not books.sampled(fragment(2, epoch=7))


def test_the_desk_gives_each_what_it_has_not_been_told():
    desk = Desk()
    assert desk.news(0, 0) is None
    desk.publish([(1, "a"), (2, "b")], b"one")
    first = desk.news(0, 0)
    desk.publish([(3, "c")], b"two")
    second = desk.news(first.number, first.known)
    assert (dict(first.captions), dict(second.captions), second.snapshot) == ({1: "a", 2: "b"}, {3: "c"}, b"two")
    assert desk.news(second.number, second.known) is None
    desk.sampled(fragment(0))
    assert [len(part) for part in desk.collect()] == [1, 0] and desk.collect() == ([], [])


def test_the_environment_is_one_of_gymnasium_and_a_seed_determines_its_episodes():
    def episode(seed):
        env = CaptionedEnv({"task": "catch"})
        seen, rewards, infos = [env.reset(seed=seed)[0]], [], []
        done = False
        while not done:
            observation, reward, terminated, truncated, info = env.step(1)
            assert env.observation_space.contains(observation)
            seen, rewards, infos = [*seen, observation], [*rewards, reward], [*infos, info]
            done = terminated or truncated
        env.close()
        return seen, rewards, infos

    seen, rewards, infos = episode(3)
    again, _, _ = episode(3)
    assert all((a[k] == b[k]).all() for a, b in zip(seen, again, strict=True) for k in a)
    assert infos[-1]["episode_steps"] == len(rewards) and infos[-1]["episode_env_return"] == sum(rewards)
    assert all("episode_steps" not in info for info in infos[:-1])
