"""What every language task of the table keeps: gold scores 1, wrong does not, seeds repeat, splits are apart."""

import asyncio
import json

import pytest

from envs.language.scoring import play, score
from envs.language.splits import side_of
from envs.language.table import TASKS, make_text_task
from envs.language.tasks.praise import Praise
from envs.language.tasks.preferences import write_preferences
from envs.language.tasks.word_problems import write_word_problems
from envs.language.validation import validate
from rewards.functions import load_reward

WRONG = ("", "wrong", "-1234567", "{", "<lookup>", "go nowhere", "```python\ndef f(xs):\n    return None\n```")


def resolve(path):
    """A reward of the rewards' room, as pipelines load it."""
    function = load_reward(path)

    def value(columns):
        asked = {name: [columns[name]] for name in function.arguments if name in columns}
        return asyncio.run(function.answer(asked))[0].value

    return value


@pytest.fixture(scope="module", params=sorted(TASKS))
def task(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_word_problems(folder / "problems.jsonl", 200, seed=3, steps=3)
    write_preferences(folder / "pairs.jsonl", Praise().pairs("train", 0)[:200])
    options = {
        "word_problems": {"path": str(folder / "problems.jsonl"), "solution": "solution"},
        "dataset": {"path": str(folder / "problems.jsonl"), "reward": "number", "gold": "solution"},
        "preferences": {"path": str(folder / "pairs.jsonl")},
        "nethack_text": {"max_turns": 3},
    }
    if request.param == "nethack_text":
        pytest.importorskip("nle")
    return make_text_task(request.param, **options.get(request.param, {}))


def sample_of(task):
    return 1 if task.name in ("code", "nethack_text") else 24  # a sandbox each; a game each


def first(prompts, count):
    return [prompts[i] for i in range(min(count, len(prompts)))]


@pytest.mark.slow
def test_it_is_sound_and_its_gold_replies_score_one(task):
    report = validate(task, resolve, sample=sample_of(task))
    assert all(count > 0 for count in report.prompts.values())
    assert (report.without_gold > 0) == (task.name == "nethack_text")
    assert report.leaks < 0.3


@pytest.mark.slow
def test_wrong_replies_score_less_than_one_and_a_malformed_one_is_no_null(task):
    prompt = task.load("train", 0)[0]
    for reply in WRONG if task.name != "code" else WRONG[-1:]:
        got = score(task, play(task, prompt, [reply] * task.max_turns), resolve)
        assert got is not None and got < 1, reply


@pytest.mark.slow
def test_a_seed_gives_the_same_prompts_and_the_split_is_that_of_the_id(task):
    count = sample_of(task)
    for split in ("train", "test"):
        some = first(task.load(split, 5), count)
        assert first(task.load(split, 5), count) == some
        if task.name not in ("nethack_text",):
            assert all(side_of(prompt.id) == split for prompt in some)
    other = first(task.load("train", 6), count)
    drawn = task.name not in ("word_problems", "dataset", "preferences")
    assert (other != first(task.load("train", 5), count)) == drawn


@pytest.mark.slow
def test_no_prompt_of_one_split_is_in_the_other_whatever_the_seed(task):
    count = sample_of(task) * 4 if sample_of(task) > 1 else 2
    train = {p.id for seed in range(3) for p in first(task.load("train", seed), count)}
    test = {p.id for seed in range(3) for p in first(task.load("test", seed), count)}
    assert train and test and not train & test


@pytest.mark.slow
def test_prompts_are_plain_json_and_their_ids_do_not_repeat_for_different_ones(task):
    seen = {}
    for prompt in first(task.load("train", 1), sample_of(task) * 2):
        plain = json.dumps([[dict(m) for m in prompt.messages], dict(prompt.columns)], allow_nan=False, sort_keys=True)
        assert seen.setdefault(prompt.id, plain) == plain
        assert {m["role"] for m in prompt.messages} <= {"system", "user", "assistant"}


def test_episodes_end_and_the_same_replies_hear_the_same(task):
    prompt = task.load("train", 2)[0]
    replies = (task.gold(prompt)[:-1] + ("?",) * task.max_turns)[: task.max_turns]
    played = play(task, prompt, replies)
    assert played == play(task, prompt, replies)
    assert len(played.env_rewards) <= task.max_turns
    assert play(task, prompt, task.gold(prompt) or ("?",)).finish in ("stop", "turns")


def test_it_has_a_docstring_with_an_example(task):
    assert "Example:" in type(task).__doc__


def test_prompts_are_found_by_random_access(task):
    prompts = task.load("train", 0)
    far = min(len(prompts) - 1, 1_000_003)
    assert prompts[far] == task.load("train", 0)[far]
    with pytest.raises(IndexError):
        prompts[len(prompts)]
