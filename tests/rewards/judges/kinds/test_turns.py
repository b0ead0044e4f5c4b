"""Kinds that take more than one turn: critique, branch and rethink, work before a comparison, tools."""

import numpy as np
import pytest

from rewards.judges.judge import question
from rewards.judges.kinds.branch_rethink import DIMENSIONS
from rewards.judges.kinds.tool import Tool
from rewards.verdicts import Status

RESPONSE = question("response", ["2 + 2 = 5"], prompt="What is 2 + 2?")
PAIR = question("pair", ["one", "two"])


def test_a_grade_is_given_under_the_models_own_critique(rubric, scripted, ask):
    model = scripted(
        choose=lambda chat, choices: "1" if "sum is wrong" in chat[2]["content"] else "5",
        write=lambda chat, schema: "The sum is wrong. <|end|>",
    )
    answer = ask(rubric("critique"), model, RESPONSE)
    assert answer.value == 0.0 and answer.tokens == 30
    assert answer.details["critique"].startswith("The sum is wrong.") and "<|end|>" not in answer.details["critique"]
    assert [message["role"] for message in model.chosen[0][0]] == ["system", "user", "assistant", "user"]


def test_an_empty_critique_is_unparseable(rubric, scripted, ask):
    answer = ask(rubric("critique"), scripted(write=lambda *_: " \n"), RESPONSE)
    assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)


def test_the_second_look_sees_only_what_the_first_one_chose_in_the_rubrics_order(rubric, scripted, ask):
    model = scripted(
        choose=lambda chat, choices: "A" if chat[1]["content"].index("one") < chat[1]["content"].index("two") else "B",
        write=lambda chat, schema: {"dimensions": ["clarity", "accuracy"], "A": "off by one", "B": "vague"},
    )
    answer = ask(rubric("branch_rethink"), model, PAIR)
    asked = model.chosen[0][0][1]["content"]
    assert asked.index("- accuracy:") < asked.index("- clarity:") and "- safety:" not in asked
    assert "Response A may be wrong in this: off by one" in asked
    assert answer.value == 1.0 and [b["shown_first"] for b in answer.details["branches"]] == [True, False]
    assert answer.tokens == 60


@pytest.mark.parametrize(
    "branch",
    [
        {"dimensions": [], "A": "", "B": ""},
        {"dimensions": ["beauty"], "A": "", "B": ""},
        {"dimensions": list(DIMENSIONS)[:4], "A": "", "B": ""},
        {"dimensions": ["logic"], "A": "x" * 300, "B": ""},
        {"dimensions": ["logic"], "A": ""},
    ],
)
def test_a_branch_that_breaks_the_form_is_unparseable(rubric, scripted, ask, branch):
    answer = ask(rubric("branch_rethink"), scripted(write=lambda *_: branch), PAIR)
    assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)


@pytest.mark.slow
def test_branching_finds_the_one_subtle_error_that_an_even_look_misses(rubric, scripted, ask):
    """A judge that sees only what it looks at, at most 2 of 8 dimensions; one response is worse in one of them."""
    names = list(DIMENSIONS)
    random = np.random.default_rng(0)
    right = {"branch": 0.0, "even": 0.0, "all": 0.0}
    count = 100
    for number in range(count):
        faulty, worse = int(random.integers(8)), int(random.integers(2))
        texts = [f"response {number} {'one' if i == 0 else 'two'}" for i in range(2)]
        gold = 1.0 - float(worse == 0)

        def looks(chat, choices, faulty=faulty, worse=worse, texts=texts):
            asked = chat[1]["content"]
            seen = [name for name in names if f"- {name}:" in asked.rsplit("Look again", 1)[-1]]
            if names[faulty] not in seen:
                return "tie"
            first = asked.index(texts[0]) < asked.index(texts[1])
            return "B" if (worse == 0) == first else "A"

        even = random.choice(names, 2, replace=False).tolist()
        branches = {"branch": [names[faulty]], "even": even, "all": names}
        for how, picked in branches.items():
            model = scripted(looks, lambda chat, schema, picked=picked: {"dimensions": picked, "A": "", "B": ""})
            judged = rubric("branch_rethink", pick=8 if how == "all" else 2)
            value = ask(judged, model, question("pair", texts)).value
            right[how] += (value == gold) + 0.5 * (value == 0.5)
    assert right["branch"] == right["all"] == count  # looking at everything is the full judge
    assert 0.5 * count < right["even"] < 0.75 * count


def test_the_pair_is_compared_by_what_was_worked_out_first(rubric, scripted, ask):
    """A judge that cannot tell five from four by looks, and can once it has solved the task."""
    pair = question("pair", ["5", "4"], prompt="2 + 2")

    def compares(chat, choices):
        asked = chat[1]["content"]
        if "2 + 2 = 4" not in asked:
            return "A"
        return "B" if asked.index("\n5\n") < asked.index("\n4\n") else "A"

    solved = scripted(compares, lambda chat, schema: {"task": "reasoning", "work": "2 + 2 = 4 <|end|>"})
    answer = ask(rubric("reasoned", needs=["prompt"]), solved, pair)
    assert answer.value == 0.0 and answer.details["orders_agree"] and answer.tokens == 60
    assert [(w["task"], w["shown_first"]) for w in answer.details["works"]] == [
        ("reasoning", True),
        ("reasoning", False),
    ]
    asked = solved.chosen[0][0][1]["content"]
    assert "of the kind reasoning" in asked and "<|end|>" not in asked
    looked = scripted(compares, lambda chat, schema: {"task": "chat", "work": "Style: 100."})
    assert ask(rubric("reasoned", needs=["prompt"]), looked, pair).value == 0.5, "what stands first looks better"


def test_one_kind_of_work_leaves_nothing_to_choose_and_other_kinds_are_unparseable(rubric, scripted, ask):
    judged = rubric("reasoned", works={"step": "principles for this step"})
    model = scripted(lambda *_: "A", lambda chat, schema: {"task": "step", "work": "Nothing that cannot be undone."})
    assert ask(judged, model, PAIR).value == 0.5
    assert model.written[0][1]["properties"]["task"]["const"] == "step"
    assert "- step: principles for this step" in model.written[0][0][0]["content"]
    for work in ({"task": "chat", "work": "x"}, {"task": "step", "work": ""}, {"task": "step", "work": "x" * 2000}):
        answer = ask(judged, scripted(write=lambda *_, work=work: work), PAIR)
        assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)
    with pytest.raises(ValueError, match="what is written for it"):
        rubric("reasoned", works={"step": " "})


def steps(*said):
    """A model that takes these steps one after the other."""
    left = list(said)

    def write(chat, schema):
        tool, given = left.pop(0) if left else ("enough", "")
        return {"tool": tool, "input": given}

    return write


def test_a_judge_calculates_before_it_grades(rubric, scripted, ask):
    model = scripted(
        choose=lambda chat, choices: "1" if "\n4\n" in chat[-2]["content"] else "5",
        write=steps(("calculator", "2 + 2")),
    )
    answer = ask(rubric("tool_use", needs=["prompt"]), model, RESPONSE)
    assert answer.value == 0.0
    assert answer.details["steps"] == [{"tool": "calculator", "input": "2 + 2", "output": "4"}]


def test_steps_are_bounded_and_then_it_must_grade(rubric, scripted, ask):
    model = scripted(lambda chat, choices: "3", lambda chat, schema: {"tool": "calculator", "input": "1"})
    answer = ask(rubric("tool_use", max_steps=4), model, RESPONSE)
    assert len(answer.details["steps"]) == 4 and answer.value == 0.5


def test_a_table_answers_by_name_and_says_what_it_does_not_know(rubric, scripted, ask):
    model = scripted(lambda chat, choices: "5", steps(("lookup", "Paris "), ("lookup", "Rome")))
    judged = rubric("tool_use", tools=["lookup"], table={"paris": "capital of France"})
    told = ask(judged, model, RESPONSE).details["steps"]
    assert [step["output"] for step in told] == ["capital of France", "not in the table"]


def test_code_runs_only_in_what_is_handed_in(rubric, scripted, ask):
    ran = []

    async def sandbox(code):
        ran.append(code)
        return "ok <|end|>"

    model = scripted(lambda chat, choices: "5", steps(("code", "assert f(1) == 2")))
    judged = rubric("tool_use", tools=["code"])
    with pytest.raises(ValueError, match="hand them in"):
        ask(judged, model, RESPONSE)
    answer = ask(judged, model, RESPONSE, tools={"code": Tool("runs Python", sandbox, "sandbox-1")})
    assert ran == ["assert f(1) == 2"] and "<|end|>" not in answer.details["steps"][0]["output"]


def test_a_tool_that_is_not_offered_is_unparseable(rubric, scripted, ask):
    answer = ask(rubric("tool_use"), scripted(write=steps(("shell", "ls"))), RESPONSE)
    assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)


def test_the_fingerprint_knows_the_tools(rubric, scripted):
    from rewards.judges.rubric import Parts

    async def use(text):
        return text

    def fingerprint(version):
        return (
            rubric("tool_use", tools=["code"])
            .build(Parts(scripted(), tools={"code": Tool("x", use, version)}))
            .fingerprint
        )

    assert fingerprint("1") == fingerprint("1") != fingerprint("2")
