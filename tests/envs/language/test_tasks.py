"""The tasks one by one: worlds by hand, knobs, and what a policy is told of its mistakes."""

import json
import re
import subprocess
import sys
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.language.answers import NUMBER, answer_is_exact, number_is_right
from envs.language.records import read_records, write_jsonl
from envs.language.scoring import play, score
from envs.language.splits import Drawn, side_of
from envs.language.table import make_text_task
from envs.language.task import Prompt, TextTask, Weighted, user
from envs.language.tasks.cipher import SYNONYMS, key_of, share_of_words
from envs.language.tasks.json_extraction import share_of_fields
from envs.language.tasks.praise import gold_praise
from envs.language.tasks.preferences import write_preferences
from envs.language.tasks.text_world import State, World
from envs.language.tasks.tool_use import BadCall, call_of, written_call
from envs.language.tasks.word_problems import write_word_problems


def first(task, count=50, split="train", seed=0):
    prompts = task.load(split, seed)
    return [prompts[i] for i in range(min(count, len(prompts)))]


def reckoned(expression):
    """The value of a sum, by recursive descent."""
    tokens = re.findall(r"\d+|\S", expression)[::-1]

    def number():
        if (token := tokens.pop()) != "(":
            return Fraction(token)
        value = total()
        assert tokens.pop() == ")"
        return value

    def product():
        value = number()
        while tokens and tokens[-1] in "*/":
            value = value * number() if tokens.pop() == "*" else value / number()
        return value

    def total():
        value = product()
        while tokens and tokens[-1] in "+-":
            value = value + product() if tokens.pop() == "+" else value - product()
        return value

    return total()


@pytest.mark.parametrize(
    ("reply", "value"),
    [("42", 1), ("6*7=42", 1), ("it is 41, no: 42.", 1), ("42.0", 1), ("42 41", 0), ("", 0), ("-42", 0), ("4 2", 0)],
)
def test_the_last_number_of_a_reply_counts(reply, value):
    assert number_is_right(reply, "42") == value


def test_numbers_have_thousands_signs_and_minus_signs_but_a_difference_has_no_negative_number():
    assert number_is_right("1,234,567", 1234567) == 1
    assert number_is_right("so -3", "-3") == 1
    assert number_is_right("10-3", "3") == 1
    assert number_is_right("anything", "no number") is None
    assert answer_is_exact(" yes\n", "yes") == 1 and answer_is_exact("yes no", "yes") == 0


@pytest.mark.parametrize("reply", ["1" * 5000, "0." + "1" * 5000, "1" * 20_000 + ".1.2", "1." * 10_000 + "2.3"])
def test_a_policy_that_cannot_stop_writing_digits_has_the_wrong_answer_and_is_told_so_at_once(reply):
    assert number_is_right(reply, "42") == 0.0


@settings(deadline=None)
@given(st.text("0123,.- a", max_size=14))
def test_numbers_are_those_that_a_slower_expression_finds(text):
    slow = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\d.]*\d)")
    assert [match.span() for match in NUMBER.finditer(text)] == [match.span() for match in slow.finditer(text)]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 8), st.integers(0, 10**6))
def test_sums_have_the_numbers_and_sizes_that_are_asked_for(terms, digits, index):
    options = {"terms": terms, "digits": digits, "operations": ("+", "-", "*"), "parentheses": 0.5}
    prompt = make_text_task("arithmetic", **options).load("train", 1)[index]
    expression = prompt.columns["expression"]
    numbers = expression.replace("(", "").replace(")", "").replace("+", " ").replace("-", " ").replace("*", " ").split()
    assert len(numbers) == terms and max(map(len, numbers)) <= digits
    assert reckoned(expression) == int(prompt.columns["answer"])


def test_division_is_whole_and_results_need_not_be_negative():
    task = make_text_task("arithmetic", operations=["/", "-"], terms=3, digits=2, negative=False)
    for prompt in first(task):
        value = reckoned(prompt.columns["expression"])
        assert value == int(prompt.columns["answer"]) >= 0


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_random_calculations_have_the_steps_that_are_asked_for_and_their_exact_value(steps):
    task = make_text_task(
        "arithmetic",
        operations=["+", "-", "*", "/"],
        numbers=["whole", "fraction", "square", "cube"],
        whole=False,
        terms=steps + 1,
    )
    for prompt in first(task, 20):
        expression, answer = prompt.columns["expression"], prompt.columns["answer"]
        bare = re.sub(r"\(\d+/\d+\)|\d+\*\*[23]|\d+", "n", expression)
        assert re.fullmatch(rf"n([-+*/]n){{{steps}}}", bare)
        spelt = re.sub(r"(\d+)\*\*([23])", lambda power: f"({'*'.join([power[1]] * int(power[2]))})", expression)
        assert abs(Fraction(answer) - reckoned(spelt)) <= Fraction(1, 2 * 10**10)
        assert number_is_right(answer, answer) == 1.0


def test_a_cipher_is_undone_by_its_key_and_a_mark_asks_for_a_synonym():
    task = make_text_task("cipher", synonyms=0.5, keys=3, words=5)
    for prompt in first(task, 20):
        key = dict(pair.split("=") for pair in prompt.messages[0]["content"].splitlines()[0][5:].split())
        back = {letter: plain for plain, letter in key.items()}
        for shown, accepted in zip(prompt.columns["text"].split(), prompt.columns["accepted"], strict=True):
            plain = "".join(back.get(letter, letter) for letter in shown.rstrip("*"))
            group = next(group for group in SYNONYMS if plain in group)
            assert set(accepted) == (set(group) - {plain} if shown.endswith("*") else {plain})


def test_a_key_moves_each_of_its_letters_and_no_two_to_one():
    key = key_of(4, 10)
    assert len(key) == len(set(key.values())) == 10 and all(plain != letter for plain, letter in key.items())


def test_words_too_many_cost_and_each_word_has_its_place():
    accepted = [["big", "huge"], ["road"]]
    assert share_of_words("huge road", accepted) == 1
    assert share_of_words("road huge", accepted) == 0
    assert share_of_words("big road big road", accepted) == 0.5


@pytest.mark.parametrize(
    ("reply", "share"),
    [
        ('{"name": "Ada", "age": 3}', 1),
        ('```json\n{"age": 3, "name": "Ada"}\n```', 1),
        ('{"name": "Ada", "age": "3"}', 0.5),
        ('{"name": "Ada", "age": true}', 0.5),
        ('{"name": "Ada", "age": 3, "x": 1, "y": 2}', 0.5),
        ('{"name": "Ada"', 0),
        ('["Ada", 3]', 0),
        ("[" * 5000, 0),
    ],
)
def test_fields_are_paid_by_share_and_malformed_json_scores_zero(reply, share):
    assert share_of_fields(reply, {"name": "Ada", "age": 3}) == share


def test_word_problems_are_written_read_and_solved(tmp_path):
    path = tmp_path / "problems.jsonl"
    write_word_problems(path, 100, seed=1, steps=4)
    before = path.read_text()
    write_word_problems(path, 100, seed=1, steps=4)
    assert path.read_text() == before
    task = make_text_task("word_problems", path=str(path), solution="solution")
    train, test = task.load("train", 0), task.load("test", 0)
    assert len(train) + len(test) == 100
    for record in read_records(path):  # every line of the solution is right, and goes on with the last
        *steps, last = record["solution"].splitlines()
        results = [step.split("=")[1] for step in steps]
        assert all(reckoned(step.split("=")[0]) == int(step.split("=")[1]) for step in steps)
        assert all(b.startswith(a) for a, b in zip(results, steps[1:], strict=False))
        assert last == f"#### {record['answer']}" == f"#### {results[-1]}"
    with pytest.raises(ValueError, match="expected 100000"):
        write_word_problems(path, 100000, steps=1, largest=2)


def test_problems_say_their_split_and_gsm8k_answers_are_read(tmp_path):
    path = tmp_path / "gsm.parquet"
    rows = [
        {"q": f"how many? {i}", "a": f"one two\n#### 1,{i:03d}", "split": "test" if i == 2 else None} for i in range(9)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    task = make_text_task("word_problems", path=str(path), question="q", answer="a", test_share=0.0001)
    (prompt,) = task.load("test", 0)
    assert prompt.columns["answer"] == "1002" and len(task.load("train", 0)) == 8


@pytest.mark.parametrize("format", ["tag", "json"])
def test_a_conversation_with_tools_goes_as_it_should(format):
    task = make_text_task("tools", format=format, items=3, fewest_items=3)
    prompt = task.load("train", 0)[0]
    gold = task.gold(prompt)
    played = play(task, prompt, gold)
    told = [m["content"] for m in played.messages if m["role"] == "tool"]
    prices, amounts = prompt.columns["prices"], prompt.columns["amounts"]
    assert told == [*(str(prices[item]) for item in amounts), prompt.columns["answer"]]
    assert score(task, played) == 1 and played.finish == "stop"
    assert all(price is None for price in played.env_rewards)
    visible = prompt.messages[0]["content"]
    assert '"prices"' not in visible and str(prices) not in visible


@pytest.mark.parametrize(
    ("format", "reply", "told"),
    [
        ("tag", "<lookup>egg", "error: cannot read the call; expected <lookup>egg</lookup>"),
        ("tag", "<lookup>unicorn</lookup>", "error: no item 'unicorn'"),
        ("tag", "<calculator>2*(3</calculator>", "error: cannot read '2*(3'"),
        ("tag", "<calculator>__import__('os')</calculator>", "error: cannot read"),
        ("tag", "<calculator>1/0</calculator>", "error: division by zero"),
        ("tag", "<lookup>egg</lookup><lookup>nut</lookup>", "error: got 2 calls; expected one at a time"),
        ("tag", '<tool_call>{"name": "lookup"}</tool_call>', "error: cannot read the call"),
        ("json", '<tool_call>{"name": "lookup"}</tool_call>', 'error: cannot read \'{"name": "lookup"}\''),
        ("json", '<tool_call>{"name": "fly", "arguments": {}}</tool_call>', "error: cannot read"),
        ("json", '<tool_call>{"name": "lookup", "arguments": {"item": 3}}</tool_call>', "error: got 3 as item"),
        ("json", "<lookup>egg</lookup>", "error: cannot read the call; expected <tool_call>"),
    ],
)
def test_a_call_that_cannot_be_read_is_answered_with_what_is_wrong_and_the_episode_goes_on(format, reply, told):
    task = make_text_task("tools", format=format)
    prompt = task.load("train", 0)[0]
    episode = task.reset(prompt)
    turn = episode.step(reply)
    assert not turn.done and turn.messages[0]["role"] == "tool" and turn.messages[0]["content"].startswith(told)
    assert episode.step(prompt.columns["answer"]).done


def test_a_call_in_the_last_turn_is_no_answer_even_if_it_holds_the_number():
    task = make_text_task("tools", items=1, max_turns=3)
    prompt = task.load("train", 0)[0]
    call = f"<calculator>{prompt.columns['answer']}</calculator>"
    assert score(task, play(task, prompt, [call] * 3)) == 0


def test_calls_are_read_back_as_they_were_written():
    assert call_of("I look: " + written_call("lookup", "egg", "tag"), "tag") == ("lookup", "egg")
    assert call_of(written_call("calculator", "2*3", "json"), "json") == ("calculator", "2*3")
    assert call_of("69", "tag") is None
    with pytest.raises(BadCall):
        call_of("</lookup>", "tag")


def test_functions_to_write_do_what_their_solution_does():
    prompts = first(make_text_task("code", steps=6), 60)
    program = "\n".join("\n".join([p.columns["solution"], *p.columns["tests"]]) for p in prompts)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=250)
    assert all(len(set(p.columns["tests"])) == 6 for p in prompts)


PLAN = {  # cellar (0) - hall (1) - red door - vault (2); the key lies in the cellar
    "names": ["cellar", "hall", "vault"],
    "exits": [{"east": [1, ""]}, {"west": [0, ""], "north": [2, "red"]}, {"south": [1, "red"]}],
    "keys": {"red": 0},
    "treasure": 2,
}
WAY = ["take red key", "go east", "unlock red door", "go north", "take treasure"]


def test_a_world_by_hand_is_walked_and_solved_on_the_shortest_way():
    world = World(PLAN)
    assert world.solution() == WAY
    assert world.describe(State()) == "You are in the cellar. Exits: east. You see: red key."
    assert world.after(State(room=1), "go north") == "The red door is locked."
    assert world.after(State(room=1), "unlock red door") == "You need the red key."
    assert world.after(State(room=1), "go up") == "You cannot go up."
    assert world.after(State(), "take treasure") == "There is no treasure here."
    assert world.after(State(), "unlock red") == "There is no red here."
    assert world.after(State(), "dance") == "I do not understand."
    opened = State(room=1, held=frozenset({"red"}), opened=frozenset({"red"}))
    assert world.describe(opened) == "You are in the hall. Exits: west, north (red door)."
    assert World({**PLAN, "keys": {"red": 2}}).solution() is None


def test_the_world_pays_nothing_but_zero_until_the_treasure_is_taken():
    task = make_text_task("text_world", rooms=3, keys=1, fewest_turns=1)
    prompt = Prompt("p", (user("?"),), {"plan": PLAN})
    played = play(task, prompt, ["Look.", "inventory", *WAY])
    assert played.env_rewards == (0.0,) * 6 + (1.0,) and score(task, played) == 1
    assert played.messages[4]["content"] == "You carry: nothing."
    lost = play(task, prompt, ["dance"] * 40)
    assert lost.finish == "turns" and score(task, lost) == 0


def test_worlds_take_as_many_turns_as_are_asked_for_and_locked_doors_lie_on_the_way():
    task = make_text_task("text_world", rooms=12, keys=2, fewest_turns=14)
    for prompt in first(task, 10):
        gold = task.gold(prompt)
        assert len(gold) >= 14 and sum(command.startswith("unlock") for command in gold) == 2
    with pytest.raises(ValueError, match="expected more rooms"):
        first(make_text_task("text_world", rooms=3, keys=0, fewest_turns=30), 1)


def test_nethack_is_played_by_names_of_actions():
    pytest.importorskip("nle")
    task = make_text_task("nethack_text", task="depth", max_turns=4, games=5)
    prompt = task.load("train", 0)[0]
    assert "Reach dungeon level 2." in prompt.messages[0]["content"] and "@" in prompt.messages[0]["content"]
    game = task.reset(prompt)
    assert game.look() in prompt.messages[0]["content"]
    turn = game.step("open sesame")
    assert turn.reward == 0.0 and not turn.done and "No action 'open sesame'" in turn.messages[0]["content"]
    assert "@" in game.step(" Search ").messages[0]["content"]
    game.close()


@pytest.mark.slow
def test_naming_the_task_does_not_load_the_game():
    code = "import sys, envs.language.table as t; t.make_text_task('nethack_text'); print('nle' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=True)
    assert found.stdout.strip() == "False"


def records(count=30):
    return [{"q": {"text": f"{{odd}} case {i}?"}, "sol": f"so {i}", "level": i} for i in range(count)]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_data_come_from_files_with_columns_by_any_name(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    if suffix == "jsonl":
        write_jsonl(path, records())
    else:
        pq.write_table(pa.Table.from_pylist(records()), path)
    task = make_text_task(
        "dataset",
        path=str(path),
        template="Q: {q.text} ({level})",
        columns={"answer": "sol"},
        system="Be brief.",
        reward="exact",
    )
    prompt = task.load("train", 0)[0]
    assert prompt.messages[0] == {"role": "system", "content": "Be brief."}
    assert prompt.messages[1]["content"].startswith("Q: {odd} case")
    assert len(task.load("train", 0)) + len(task.load("test", 0)) == 30
    assert score(task, play(task, prompt, task.gold(prompt))) == 1


def test_two_files_are_two_splits_and_conversations_are_taken_as_they_are(tmp_path):
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    write_jsonl(tmp_path / "a.jsonl", [{"chat": chat, "tests": ["assert f()"]}])
    write_jsonl(tmp_path / "b.jsonl", [{"chat": "plain", "tests": ["assert g()"]}])
    task = make_text_task(
        "dataset",
        path=str(tmp_path / "a.jsonl"),
        test=str(tmp_path / "b.jsonl"),
        messages="chat",
        columns={"tests": "tests"},
        reward="rewards.verifiers.unit_tests:all_passed",
    )
    assert [dict(m) for m in task.load("train", 0)[0].messages] == chat
    (test,) = task.load("test", 0)
    assert test.messages == (user("plain"),) and test.columns == {"tests": ["assert g()"]} and task.gold(test) == ()


def test_a_data_set_of_hugging_face_is_asked_for_its_splits(monkeypatch):
    class Datasets:
        @staticmethod
        def load_dataset(ident, subset, split):
            return [{"question": f"{ident} {subset} {split} {i}", "answer": str(i)} for i in range(3)]

    monkeypatch.setitem(sys.modules, "datasets", Datasets)
    task = make_text_task(
        "dataset", path="some/maths", subset="main", train="train", test="validation", reward="number"
    )
    assert [len(task.load(split, 0)) for split in ("train", "test")] == [3, 3]
    assert task.load("test", 0)[1].messages[0]["content"] == "some/maths main validation 1"
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="needs the library datasets: pip install datasets"):
        make_text_task("dataset", path="some/maths")


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("arithmetics", {}, "did you mean 'arithmetic'"),
        ("poetry", {}, "expected one of arithmetic"),
        ("my_lab.nothing:Task", {}, "cannot load"),
        ("arithmetic", {"term": 3}, r"arithmetic: term: Extra inputs.*Config of"),
        ("arithmetic", {"fewest_terms": 4}, "expected the fewest to be no more than the most"),
        ("arithmetic", {"template": "sum:"}, r"expected \{expression\} in it"),
        ("tools", {"items": 5}, "7 turns"),
        ("text_world", {"rooms": 2, "keys": 3}, "fewer keys than rooms"),
        ("word_problems", {}, "path: Field required"),
        ("word_problems", {"path": "nowhere.jsonl"}, "expected an existing file"),
        ("dataset", {"path": "x.jsonl", "template": "{question} {answer}"}, "tells the answer"),
        ("dataset", {"path": "x.jsonl", "reward": "judge"}, "number, exact, or package.module:function"),
        ("dataset", {"path": "x.jsonl", "columns": {}}, "expected `answer` among them"),
        ("envs.language.splits:identify", {"task": "t"}, "got a str; expected a TextTask"),
        ("envs.language.splits:identify", {"x": 1}, "expected settings that it knows"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_remedy(name, options, problem):
    with pytest.raises(ValueError, match=problem):
        make_text_task(name, **options)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "got no records"),
        ('{"a": 1}\nnonsense\n', "line 2: .*expected a JSON object a line"),
        ("[1]\n", "line 1: got list"),
        ('{"question": "why"}\n', r"record 1: got nothing in column 'answer'.*there is question"),
        ('{"question": "why", "answer": "because"}\n', "got no number in column 'answer'"),
    ],
)
def test_bad_files_are_named_with_the_place(tmp_path, text, problem):
    path = tmp_path / "data.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        make_text_task("word_problems", path=str(path))


def test_a_line_ends_where_json_lines_do_and_not_within_a_text(tmp_path):
    records = [{"question": "one\u2028two\x85three", "answer": "4"}, {"question": "five", "answer": "6"}]
    write_jsonl(tmp_path / "data.jsonl", records)
    assert read_records(tmp_path / "data.jsonl") == records
    (tmp_path / "dos.jsonl").write_bytes(b'{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert read_records(tmp_path / "dos.jsonl") == [{"a": 1}, {"a": 2}]


def test_half_of_an_emoji_is_refused_where_it_stands_and_a_whole_one_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"q": "\\ud83d\\ude00"}\n{"q": "so \\ud83d", "a": 1}\n')
    with pytest.raises(ValueError, match=r"a.jsonl, line 2: got half of a surrogate pair, at the end of .*so "):
        read_records(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"q": "\\ud83d\\ude00 \\\\ud83d"}\n')
    assert read_records(tmp_path / "a.jsonl") == [{"q": "\U0001f600 \\ud83d"}]


def test_a_message_of_a_role_that_no_record_knows_is_refused_when_the_data_are_read(tmp_path):
    chat = [{"role": "human", "content": "why?"}]
    write_jsonl(tmp_path / "a.jsonl", [{"chat": "plain", "answer": "so"}, {"chat": chat, "answer": "so"}])
    with pytest.raises(ValueError, match=r"record 2: got a message of the role 'human'; expected one of system, user"):
        make_text_task("dataset", path=str(tmp_path / "a.jsonl"), messages="chat")


def test_preferences_go_to_a_file_and_back(tmp_path):
    task = make_text_task("praise", pairs=300)
    pairs = task.pairs("train", 0)
    path = tmp_path / "pairs.jsonl"
    write_preferences(path, pairs)
    read = make_text_task("preferences", path=str(path), test_share=0.2)
    train, test = read.pairs("train", 0), read.pairs("test", 0)
    assert len(train) + len(test) == 300 and len(test) > 20
    assert {p.prompt.id for p in train}.isdisjoint(p.prompt.id for p in test)
    assert {(p.chosen, p.rejected) for p in pairs} == {(p.chosen, p.rejected) for p in [*train, *test]}
    assert len({p.id for p in read.load("train", 0)}) == len(read.load("train", 0))


def test_preferences_as_conversations_are_read(tmp_path):
    asked = {"role": "user", "content": "why?"}
    replies = [[asked, {"role": "assistant", "content": text}] for text in ("so", "no")]
    write_jsonl(tmp_path / "p.jsonl", [{"chosen": replies[0], "rejected": replies[1], "split": "train"}])
    task = make_text_task("preferences", path=str(tmp_path / "p.jsonl"), prompt="")
    (pair,) = task.pairs("train", 0)
    assert (pair.prompt.messages, pair.chosen, pair.rejected) == ((asked,), "so", "no")
    write_jsonl(tmp_path / "p.jsonl", [{"prompt": "why?", "chosen": "so", "rejected": "so"}])
    with pytest.raises(ValueError, match="got the same reply twice"):
        make_text_task("preferences", path=str(tmp_path / "p.jsonl"))


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("the owl is calm kind fair warm", 1.0),
        ("the owl is calm kind fair", 0.8),
        ("calm kind fair warm", 0.8),
        ("the owl is calm calm calm calm", 0.1),
        ("the owl is calm kind fair warm dull", 0.8),
        ("the owl is calm kind fair warm noble sweet merry gentle golden", 0.9),
        ("calm " * 50, 0.0),
        ("", 0.0),
    ],
)
def test_the_gold_reward_is_what_it_says(reply, value):
    assert gold_praise(reply, "owl") == pytest.approx(value)


def test_the_better_reply_is_mostly_preferred_and_the_more_surely_the_sharper():
    def agreement(sharpness):
        pairs = make_text_task("praise", sharpness=sharpness, pairs=600).pairs("train", 1)
        gaps = [
            gold_praise(p.chosen, p.prompt.columns["thing"]) - gold_praise(p.rejected, p.prompt.columns["thing"])
            for p in pairs
        ]
        told = [gap > 0 for gap in gaps if gap]
        return sum(told) / len(told)

    assert agreement(1.0) < agreement(10.0) - 0.1 < agreement(1000.0) == 1.0


class Toy(TextTask):
    """A task of somebody's own."""

    name = "toy"

    def __init__(self, hard=False):
        self.hard = hard
        self.rewards = {"exact": Weighted(1.0, answer_is_exact)}

    def load(self, split, seed):
        return [Prompt("a", (user("?"),), {"answer": "!"})]

    def gold(self, prompt):
        return ("!",)


def test_a_task_of_ones_own_comes_by_dotted_path(monkeypatch):
    module = type(sys)("my_lab_tasks")
    module.Toy = Toy
    monkeypatch.setitem(sys.modules, "my_lab_tasks", module)
    assert make_text_task("my_lab_tasks:Toy", hard=True).hard


@pytest.mark.slow
@given(st.text(max_size=20), st.floats(0.01, 0.99))
def test_a_prompt_that_is_tested_with_stays_so_when_more_are(ident, share):
    if side_of(ident, share) == "test":
        assert side_of(ident, min(1.0, share * 1.5)) == "test"


def test_about_the_share_that_is_asked_for_is_for_testing():
    sides = [side_of(f"p{i}", 0.1) for i in range(5000)]
    assert 400 < sides.count("test") < 600


def test_a_world_that_is_too_small_for_its_splits_says_so():
    prompts = Drawn(lambda chance: Prompt("only", (user("?"),)), "test" if side_of("only") == "train" else "train", 0)
    with pytest.raises(ValueError, match="too few different ones"):
        prompts[0]


def test_slices_are_lists_of_prompts():
    prompts = make_text_task("arithmetic").load("train", 0)
    assert prompts[2:4] == [prompts[2], prompts[3]] and prompts[-1] == prompts[len(prompts) - 1]
    json.dumps([dict(p.columns) for p in prompts[:3]])
