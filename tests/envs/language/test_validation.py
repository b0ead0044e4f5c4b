"""Tasks that must not be trained on are refused, with what to do."""

from dataclasses import replace

import pytest

from envs.language.answers import answer_is_exact
from envs.language.scoring import play, score, values
from envs.language.splits import Drawn, identify
from envs.language.table import make_text_task
from envs.language.task import Prompt, SingleTurn, TextTask, Turn, Weighted, user
from envs.language.validation import InvalidTask, validate


def prompts(side, count=20, start=0, text="what is {i}?"):
    return [
        Prompt(f"{side}{i}", (user(text.format(i=i, answer=f"a{i}")),), {"answer": f"a{i}"})
        for i in range(start, start + count)
    ]


class Listed(TextTask):
    """Questions from lists."""

    name = "listed"
    rewards = {"exact": Weighted(2.0, answer_is_exact)}  # noqa: RUF012

    def __init__(self, train=None, test=None):
        self.sides = {
            "train": prompts("train") if train is None else train,
            "test": prompts("test", start=100) if test is None else test,
        }

    def load(self, split, seed):
        return self.sides[split]

    def gold(self, prompt):
        return (prompt.columns["answer"],)


def test_a_sound_task_passes_and_says_what_it_has():
    report = validate(Listed())
    assert report.prompts == {"train": 20, "test": 20}
    assert report.without_gold == 0 and report.too_long == {} and report.leaks == 0


def refused(task, match, **options):
    with pytest.raises(InvalidTask, match=match):
        validate(task, **options)


def test_a_template_that_tells_the_answer_is_refused():
    refused(Listed(prompts("train", text="what is {i}? (it is {answer})")), "20 of 20 prompts tell their answer")


def test_choices_that_are_listed_tell_nothing_and_spans_may_be_in_the_passage():
    letters = [
        replace(p, columns={"answer": "ABCD"[i % 4]}) for i, p in enumerate(prompts("train", text="{i}: A B C D?"))
    ]
    assert validate(Listed(letters)).leaks == 0
    task = Listed(prompts("train", text="{i}: {answer} x"), prompts("test", start=50, text="{i}: {answer} y"))
    refused(task, "extractive=True")
    task.extractive = True
    validate(task)


def test_a_part_of_a_longer_word_is_no_answer_told():
    assert validate(Listed(prompts("train", text="{answer}b {i}"))).leaks == 0


@pytest.mark.slow
def test_empty_data_are_refused():
    refused(Listed(test=[]), "got no prompts for testing")
    refused(make_text_task("arithmetic", digits=1, terms=2, operations=["+"], test_share=1e-9), "too few different")


@pytest.mark.parametrize("message", [{"role": "human", "content": "?"}, {"role": "user", "content": None}, {}])
def test_messages_that_no_record_could_hold_are_refused_before_anything_is_written(message):
    wrong = [*prompts("train"), Prompt("odd", (message,), {"answer": "a"})]
    refused(Listed(wrong), "prompt odd: got the message .*; expected a role of system, user, assistant, tool, and")


def test_half_of_a_character_in_a_prompt_is_refused():
    refused(
        Listed([*prompts("train"), Prompt("cut", (user("why \ud83d"),), {"answer": "a"})]), "prompt cut: .*surrogates"
    )


def test_prompts_that_repeat_are_refused_where_they_are_listed():
    double = [*prompts("train"), prompts("train")[3]]
    refused(Listed(double), "got prompt train3 twice")


def test_splits_that_overlap_are_refused_by_id_and_by_words():
    refused(Listed(test=prompts("train", 3)), "share no prompt")
    refused(Listed(test=prompts("test", 3)), "share no prompt")


def test_gold_replies_that_do_not_score_one_are_refused():
    task = Listed()
    task.gold = lambda prompt: ("wrong",)
    refused(task, "the gold reply 'wrong' scores 0.0")
    task.gold = lambda prompt: (prompt.columns["answer"], "more")
    refused(task, "1 of 2 gold replies")
    task = Listed()
    task.rewards = {"shy": Weighted(1.0, lambda completion: None)}
    refused(task, "scores None")
    task.rewards = {"needy": Weighted(1.0, lambda completion, tests: 1.0)}
    refused(task, "nothing provides its argument 'tests'")
    task.rewards = {"far": Weighted(1.0, "rewards.verifiers.exact:exact_match")}
    refused(task, "pass resolve=")
    assert validate(task, lambda path: lambda columns: 1.0).without_gold == 0


def test_columns_must_be_json_and_prompts_must_say_something():
    odd = [replace(p, columns={**p.columns, "x": {1, 2}}) for p in prompts("train")]
    refused(Listed(odd), "expected plain JSON")
    refused(Listed([replace(prompts("train")[0], messages=(user(" "),))]), "got an empty prompt")


def test_prompts_that_fill_the_context_are_reported_and_refused_where_all_do():
    def count(messages):
        return sum(len(m["content"]) for m in messages)

    task = Listed([*prompts("train"), Prompt("long", (user("x" * 50),), {"answer": "y"})])
    assert validate(task, count_tokens=count, context=40).too_long == {"long": 50}
    refused(task, "expected fewer than the context of 5", count_tokens=count, context=5)


def drawn(draw):
    task = Listed()
    task.load = lambda split, seed: Drawn(draw, split, seed, size=100)
    return task


def test_drawn_prompts_may_repeat_but_not_mostly_and_an_id_names_one_prompt():
    def small(chance):
        i = chance.randrange(30)
        return Prompt(identify("t", i), (user(f"{i}?"),), {"answer": f"a{i}"})

    refused(drawn(small), "expected a larger world")
    refused(
        drawn(lambda chance: Prompt(f"{chance.randrange(200)}", (user(f"{chance.random()}?"),), {"answer": "a"})),
        "two different prompts with the id",
    )


class Paying(TextTask):
    """A world that pays, or does not, and stops, or does not."""

    name = "paying"
    pays = True
    max_turns = 2
    rewards = {"exact": Weighted(1.0, answer_is_exact)}  # noqa: RUF012

    def __init__(self, *turns):
        self.turns = turns

    def load(self, split, seed):
        return prompts(split, 5)

    def reset(self, prompt):
        turns = iter(self.turns)

        class Episode(SingleTurn):
            def step(self, reply):
                return next(turns)

        return Episode()

    def gold(self, prompt):
        return ("?", prompt.columns["answer"])


def test_a_score_is_the_weighted_mean_and_pay_that_was_never_given_is_null():
    prompt = prompts("train")[0]
    task = Paying(Turn((), False, 0.25), Turn((), True, 0.25))
    assert score(task, play(task, prompt, task.gold(prompt))) == 0.75
    silent = Paying(Turn((), False), Turn((), True))
    assert score(silent, play(silent, prompt, silent.gold(prompt))) is None
    assert values(silent, play(silent, prompt, ["?"])) == {"exact": 0.0}
    validate(Paying(Turn((), False), Turn((), True, 1.0)))
    refused(Paying(Turn((), False, 1.0), Turn((), False)), "ended with 'turns'")


def test_a_null_weighs_nothing_where_its_weight_is_zero():
    task = Listed()
    task.rewards = {"exact": Weighted(1.0, answer_is_exact), "shown": Weighted(0.0, lambda completion: None)}
    prompt = prompts("train")[0]
    assert score(task, play(task, prompt, task.gold(prompt))) == 1
