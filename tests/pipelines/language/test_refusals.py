"""What is wrong with a language experiment is said before its first step, with the remedy."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from actors.engines.chat_tokenizer import ChatTokenizer
from benchmarks.apparatus.random_chat_model import save_tokenizer
from envs.language.records import write_jsonl
from pipelines.errors import UserError
from pipelines.language import train
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport, PromptOrder
from pipelines.language.rehearsal import rehearse
from pipelines.language.reward_parts import Part
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.rewards import RewardSet
from pipelines.language.stored import resolve_language
from pipelines.language.tasks import task_of
from pipelines.language.train import check
from rewards.functions import reward


@reward(subject="row")
def needs_more(completion: str, colour: str) -> float:
    """Asks for a column that arithmetic has not."""
    return 1.0


@reward(subject="row", batched=True)
def too_few(completion: list[str]) -> list[float]:
    """Gives one value for any number of answers."""
    return [1.0]


HELD, OVER = threading.Event(), []


@reward(subject="row", batched=True)
def hangs(completion: list[str]) -> list[float]:
    """Takes its time."""
    HELD.wait(60)
    OVER.append(True)
    return [0.0] * len(completion)


def test_an_unknown_task_or_option_is_refused_with_its_nearest_name():
    with pytest.raises(UserError, match="did you mean 'arithmetic'"):
        check(LanguageExperiment(task="arithmetik"))
    with pytest.raises(UserError, match="digit"):
        check(LanguageExperiment(task="arithmetic", task_options={"digit": 3}))


def test_a_reward_that_asks_for_what_nothing_provides_is_refused():
    rewards = RewardsConfig(functions={"more": f"{__name__}:needs_more"})
    task = task_of(LanguageExperiment(task="arithmetic"))
    with pytest.raises(UserError, match=r"rewards\.weights: got wrong"):
        RewardSet(LanguageExperiment(task="arithmetic", rewards=RewardsConfig(weights={"wrong": 1.0})), task)
    found = RewardSet(LanguageExperiment(task="arithmetic"), task)
    found.check(["answer"])
    assert rewards.functions


def test_a_reward_that_gives_the_wrong_number_of_values_is_a_fault_and_no_value():
    answers = asyncio.run(too_few.answer({"completion": ["1", "2"]}))
    assert all(answer.value is None and "got 1 values for 2" in answer.cause for answer in answers)


def test_a_reward_that_gives_the_wrong_number_of_values_is_refused_before_a_model_is_made(tmp_path):
    experiment = LanguageExperiment(task="arithmetic")
    functions = {"few": f"{__name__}:too_few"}
    task, rewards = task_of(experiment), RewardSet(experiment, task_of(experiment))
    part = Part("few", 1.0, "1", too_few)
    rewards.parts += (part,)
    given = experiment.model_copy(update={"rewards": RewardsConfig(functions=functions)})
    with pytest.raises(UserError, match=r"rewards\.functions\.few: .*got 1 values for 3"):
        rehearse(given, task, rewards)
    rehearse(experiment, task, rewards)  # the task's own rewards are checked by the task's gold replies


@pytest.mark.slow
def test_a_reward_that_hangs_does_not_hold_up_its_rehearsal():
    experiment = LanguageExperiment(
        task="arithmetic", rewards=RewardsConfig(functions={"hangs": "a:b"}, deadline_s=0.1)
    )
    rewards = RewardSet(
        LanguageExperiment(task="arithmetic", rewards=RewardsConfig(deadline_s=0.1)), task_of(experiment)
    )
    rewards.parts += (Part("hangs", 1.0, "1", hangs),)
    rehearse(experiment, task_of(experiment), rewards)
    assert not OVER
    HELD.set()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engines": {"sync": "nccl"}}, "learner_device=cpu and engines.device=cpu: set both to cuda"),
        ({"method": "grop"}, "method: got 'grop'"),
        ({"prompts": 5, "engines": {"count": 2}}, "cannot share evenly"),
        ({"group_size": 1}, "compares the answers of a group"),
        ({"target": 0.9}, "target needs evaluate_every"),
        ({"prompts": 6, "learners": 4}, r"prompts \(6\) must be a multiple of learners \(4\)"),
        ({"max_staleness": 0, "scaling": {"learners": {"most": 2}}}, "leave scaling.learners out"),
        ({"learner": {"loss": {"ratio": "product"}}}, "method=grpo names the policy loss"),
        (
            {"learner": {"kl": {"where": "reward"}}},
            "method=grpo gives answers one advantage each: set learner.kl.where",
        ),
        ({"preferences": {"policy": {"loss": "kto"}}}, "learns from single answers .* and these are pairs"),
        (
            {"preferences": {"into": "reward_model", "reward_model": {"loss": "regression"}}},
            "learns from scores, and these are pairs",
        ),
        (
            {"prompts": 4, "learners": 4, "group_size": 2, "learner": {"minibatches": 4}},
            "8 answers in a batch for learner.minibatches=4 of each of 4 learners",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        LanguageExperiment(task="arithmetic", **changes)


GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if 'odd' in m.content %}{{ raise_exception('that is odd') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_a_system_prompt_is_no_reason_to_refuse_a_model_that_knows_none_since_it_is_said_by_the_user(
    tmp_path, monkeypatch
):
    from transformers import AutoTokenizer

    tokens = save_tokenizer(tmp_path, GEMMA)
    chats = ChatTokenizer(AutoTokenizer.from_pretrained(tmp_path), "gemma")
    engine = SimpleNamespace(max_tokens=200, vocabulary=tokens)
    monkeypatch.setattr(train, "engine_for", lambda experiment, model: (engine, chats))
    data = tmp_path / "data.jsonl"
    write_jsonl(data, [{"question": f"what is {i} and {i}?", "answer": f"a{2 * i}"} for i in range(40)])
    settings = {"path": str(data), "test_share": 0.3}
    train.check_model(LanguageExperiment(task="dataset", task_options={**settings, "system": "Be brief."}), "gemma")
    with pytest.raises(UserError, match=r"chat template of model gemma refuses a prompt of it \(that is odd\)"):
        train.check_model(LanguageExperiment(task="dataset", task_options={**settings, "system": "Be odd."}), "gemma")


def test_recipes_are_found_overridden_and_checked(tmp_path):
    found = resolve_language("rlvr", {"updates": 7, "rewards.weights.right": 2.0}, tmp_path, None)
    assert found.updates == 7 and found.rewards.weights == {"right": 2.0}
    assert resolve_language("catch", {}, tmp_path, None) is None
    with pytest.raises(UserError, match="did you mean updates"):
        resolve_language("rlvr", {"update": 7}, tmp_path, None)
    for name in ("rlvr", "agent", "rlhf", "dpo", "rubric-grpo"):
        check(resolve_language(name, {}, tmp_path, None))


def test_every_prompt_comes_once_before_any_comes_again_in_an_order_of_the_seed():
    order, other = PromptOrder(10, seed=0), PromptOrder(10, seed=1)
    first = [order(group) for group in range(10)]
    assert sorted(first) == list(range(10)) == sorted(order(group) for group in range(10, 20))
    assert first == [order(group) for group in range(10)] and first != [other(group) for group in range(10)]
    with pytest.raises(ValueError, match="no prompts"):
        PromptOrder(0, seed=0)


def test_a_report_comes_back_from_plain_json():
    report = GroupReport((1, 2, 3), 4, "p", ("1/2/3/0",), 5, 6, 7, 1, {"stop": 1}, 0.5)
    assert GroupReport.from_plain(report.to_plain()) == report
