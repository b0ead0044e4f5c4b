from __future__ import annotations

import json
import random
from copy import deepcopy

import pytest

from envs.language.phone import PAGE, BadAction, Phone, action_of, digest, random_state
from envs.language.phone_tasks import TEMPLATES, checked, solved
from envs.language.scoring import play, score
from envs.language.table import make_text_task

DONE = '{"do": "done"}'


def drawn(template, seed=0):
    state = random_state(random.Random(seed))
    return state, TEMPLATES[template].draw(random.Random(seed), state)


def prompts(template, count=20, seed=0, **options):
    task = make_text_task("phone", templates=(template,), **options)
    return task, [task.load("train", seed)[number] for number in range(count)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_gold_is_paid_one_and_who_only_says_that_he_is_done_nothing_and_the_phone_is_as_before(template):
    task, several = prompts(template)
    for prompt in several:
        assert score(task, play(task, prompt, task.gold(prompt))) == 1
        for nothing in ([DONE], ["I have done it all."] * task.max_turns, ['{"do": "done", "answer": "success"}']):
            assert score(task, play(task, prompt, nothing)) == 0
        session = task.reset(prompt)
        for action in task.gold(prompt):
            session.step(action)
        assert digest(session.phone.state) == digest(prompt.columns["home"])
        assert score(task, play(task, prompt, task.slip(prompt, random.Random(0)))) < 1


def test_the_same_seed_gives_the_same_tasks_and_another_one_others():
    assert prompts("settings")[1] == prompts("settings")[1] != prompts("settings", seed=1)[1]


def test_sub_checks_are_averaged_and_another_entry_that_was_touched_makes_it_nothing():
    state, task = drawn("clear_day")
    wanted = [("calendar", "a", None), ("calendar", "b", None)]
    state["calendar"] |= {"a": {"day": "Friday", "hour": "8"}, "b": {"day": "Friday", "hour": "9"}}
    after = deepcopy(state)
    del after["calendar"]["a"]
    assert checked(state, after, wanted) == 0.5
    del after["calendar"]["b"]
    assert checked(state, after, wanted) == 1
    after["settings"]["wifi"] = {"value": "broken"}
    assert checked(state, after, wanted) == 0
    assert all(values is None for _, _, values in task.wanted)


def test_only_what_is_on_the_screen_can_be_changed():
    phone = Phone({"contacts": {name: {"number": "1"} for name in "abcde"}, "settings": {"wifi": {"value": "on"}}})
    assert phone.screen.startswith("home")
    assert phone.act({"do": "open", "app": "contacts"}).splitlines()[:2] == ["contacts, page 1 of 2", "- a: number 1"]
    assert phone.shown == list("abcd") and len(phone.shown) == PAGE
    for impossible in (
        {"do": "delete", "key": "e"},
        {"do": "write", "key": "e", "values": {"number": "2"}},
        {"do": "write", "key": "f", "values": {"number": 2}},
        {"do": "write", "key": "f", "values": {}},
        {"do": "write", "key": "a", "values": {"text": "x"}},
        {"do": "open", "app": "camera"},
        {"do": "open", "app": []},
        {},
    ):
        before = digest(phone.state)
        with pytest.raises(BadAction):
            phone.act(impossible)
        assert digest(phone.state) == before
    phone.act({"do": "more"})
    phone.act({"do": "delete", "key": "e"})
    assert phone.shown == list("abcd")
    phone.act({"do": "open", "app": "settings"})
    for impossible in ({"do": "delete", "key": "wifi"}, {"do": "write", "key": "gps", "values": {"value": "on"}}):
        with pytest.raises(BadAction, match="nothing can be"):
            phone.act(impossible)


@pytest.mark.parametrize("reply", ["", "done", "[1]", '{"do": ' + "[" * 2000, "[" * 900])
def test_what_cannot_be_read_is_said_and_costs_an_action(reply):
    with pytest.raises(BadAction, match="cannot read"):
        action_of(reply)
    task, (prompt, *_) = prompts("delete_note")
    turn = task.reset(prompt).step(reply)
    assert not turn.done and turn.reward == 0.0 and turn.messages[0]["content"].startswith("error: cannot read")


def test_who_has_used_up_his_actions_is_paid_for_what_was_done_by_then():
    task, several = prompts("settings", patience=1.0)
    prompt = next(prompt for prompt in several if len(prompt.columns["wanted"]) == 3)
    more = json.dumps({"do": "more"})
    played = play(task, prompt, [*task.gold(prompt)[:-2], *[more] * 9])
    assert len(played.env_rewards) == prompt.columns["budget"] == len(task.gold(prompt))
    assert score(task, played) == pytest.approx(2 / 3)


def test_solutions_look_up_what_must_be_known():
    state, task = drawn("contact_from_note")
    actions = solved(state, task)
    assert actions[0] == {"do": "open", "app": "notes"} and {"do": "open", "app": "contacts"} in actions
    assert task.wanted[0][1] not in TEMPLATES["contact_from_note"].text.format(**task.parameters)


def test_a_template_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="expected some of add_contact"):
        make_text_task("phone", templates=("order_pizza",))
