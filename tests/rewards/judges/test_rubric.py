import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rewards.judges.chat_model import Reply
from rewards.judges.judge import question
from rewards.judges.rubric import KINDS, Parts, judge_from_file, load, rubric_class
from rewards.judges.rubric_source import RubricError, read

EXAMPLES = sorted((Path(__file__).parents[3] / "rewards/judges/rubrics").iterdir())
GRADED = "id: g\nversion: 1\nkind: graded\n"


class Model:
    """Every choice is as likely as every other; nothing is written."""

    special_tokens, fingerprint = (), "model"

    @asynccontextmanager
    async def session(self):
        yield self

    async def choose(self, chat, choices):
        return Reply(probabilities=tuple(1 / len(choices) for _ in choices))

    async def write(self, chat, max_tokens, schema=None):
        return Reply(text="")


def write(tmp_path, text, name="r.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_makes_a_judge(path):
    judge = judge_from_file(path, Parts(Model()))
    rubric = load(path)
    assert rubric.id == path.stem
    context = dict.fromkeys(rubric.needs, "x") or {"prompt": "x"}
    kind = rubric.answers[0]
    texts = ["a", "b"] if kind in ("pair", "group") else ["a"]
    (answer,) = asyncio.run(judge.judge([question(kind, texts, **{"prompt": "x", **context})]))
    assert answer.value is None or 0 <= answer.value <= 1
    assert judge.fingerprint == judge_from_file(path, Parts(Model())).fingerprint


def test_there_is_an_example_of_every_kind():
    assert {load(path).kind for path in EXAMPLES} == set(KINDS)


def test_the_table_names_classes_whose_kind_it_is():
    for kind in KINDS:
        assert kind in str(rubric_class(kind).model_fields["kind"].annotation)


def test_markdown_and_yaml_give_the_same_rubric(tmp_path):
    markdown = """---
id: same
version: 2
kind: rubric
---
You judge.
Be fair.

## Principles
- Truth first.

## Criteria
- **right** (3): It is right
  in every part.
- **short**: It is short.

## Rules
- **polite**: It is polite.
"""
    as_yaml = """
id: same
version: "2"
kind: rubric
instruction: "You judge.\\nBe fair."
principles: [Truth first.]
criteria:
  - {id: right, text: It is right in every part., weight: 3}
  - {id: short, text: It is short.}
rules: [{id: polite, text: It is polite.}]
"""
    one, other = load(write(tmp_path, markdown, "a.md")), load(write(tmp_path, as_yaml, "b.yml"))
    assert one == other


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (GRADED + "levles: 5\n", 4, "levles: no such setting"),
        (GRADED + "levels: 99\n", 4, "levels:"),
        (GRADED + "soft: perhaps\n", 4, "soft:"),
        ("version: 1\nkind: graded\n", 1, "id: Field required"),
        ("id: g\nversion: 1\nkind: grade\n", 3, "expected one of binary, graded"),
        ("id: g\nversion: 1\n", 1, "got the kind None"),
        ("id: Not an id!\nversion: 1\nkind: graded\n", 1, "id:"),
        (GRADED + "needs: [prompt, prompt]\n", 4, "each once"),
        (GRADED + "needs: [response]\n", 1, "stand for what is judged"),
        (GRADED + "template: 'Q {promt}'\n", 1, "got the placeholders ['promt']"),
        (GRADED + "needs: [prompt]\ntemplate: '{response}'\n", 1, "without {prompt}"),
        (GRADED + "needs: [prompt]\ntemplate: '{prompt}'\n", 1, "without what is judged"),
        (GRADED + "levels: 5\nlevels: 6\n", 5, "a second time"),
        (GRADED + "means: {a: 1\n", 5, "not YAML"),
        (GRADED + "means: !!python/name:os.system\n", 4, "not YAML"),
        (GRADED + "means: &a {x: y}\nprinciples: [*a, *a]\n", 4, "alias"),
        ("- id: g\n", 1, "expected settings"),
        ("", 1, "expected settings"),
        ("3: x\n", 1, "expected settings"),
    ],
)
def test_a_malformed_rubric_is_refused_with_file_and_line(tmp_path, text, line, said):
    path = write(tmp_path, text)
    with pytest.raises(RubricError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ") and said in str(caught.value)


def test_everything_that_is_wrong_is_named_at_once(tmp_path):
    with pytest.raises(RubricError, match=r":4: levels: .*; line 5: sort: no such setting"):
        load(write(tmp_path, GRADED + "levels: 1\nsort: 3\n"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("You judge.\n", 1, "front matter"),
        ("---\nid: x\n", 1, "front matter"),
        ("---\nid: x\nversion: 1\nkind: rubric\n---\n## Criteria\n- **a** (much): b\n", 7, "got the weight 'much'"),
        ("---\nid: x\nversion: 1\nkind: rubric\n---\n## Criteria\nprose\n", 7, "expected a list"),
        ("---\nid: x\nversion: 1\nkind: rubric\n---\n## Criteria\n- **a**: b\n## Criteria\n", 8, "a second time"),
        ("---\nid: x\nversion: 1\nkind: rubric\n---\n## Criteria\n- **a** (0): b\n", 7, "criteria.0.weight"),
        ("---\nid: x\nversion: 1\nkind: rubric\n---\n## Criterias\n- **a**: b\n", 2, "criteria: Field required"),
        ("---\nid: x\nversion: 1\nkind: rubric\ninstruction: a\n---\nb\n", 5, "expected one"),
        ("---\nid: x\nversion 1\nkind: rubric\n---\n", 4, "not YAML"),
    ],
)
def test_malformed_markdown_is_refused_with_file_and_line(tmp_path, text, line, said):
    path = write(tmp_path, text, "r.md")
    with pytest.raises(RubricError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ") and said in str(caught.value)


@pytest.mark.slow
def test_files_that_are_no_rubrics_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\.yaml or \.md"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(RubricError, match=r"ending in '\.txt'"):
        load(write(tmp_path, GRADED, "r.txt"))
    (tmp_path / "bytes.yaml").write_bytes(b"id: \xff\xfe")
    with pytest.raises(RubricError, match="UTF-8"):
        load(tmp_path / "bytes.yaml")
    with pytest.raises(RubricError, match="at most"):
        load(write(tmp_path, "# " + "x" * 1_000_001))
    with pytest.raises(RubricError, match="not YAML"):
        read(write(tmp_path, "a: " + "[" * 5_000))


def test_rubrics_that_name_one_another_in_a_circle_are_refused(tmp_path):
    path = write(tmp_path, "id: t\nversion: 1\nkind: tournament\nmatch: {rubric: r.yaml}\n")
    with pytest.raises(RubricError, match="expected no circle"):
        judge_from_file(path, Parts(Model()))


def test_a_judge_without_a_model_and_a_member_with_an_unknown_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"judge\.model"):
        judge_from_file(write(tmp_path, GRADED), Parts())
    member = "id: t\nversion: 1\nkind: tournament\nmatch: {rubric: r.yaml, model: large}\n"
    with pytest.raises(ValueError, match=r"got the model 'large'; expected one of \['small'\]"):
        judge_from_file(write(tmp_path, member, "t.yaml"), Parts(Model(), models={"small": Model()}))


def test_the_fingerprint_is_of_what_the_rubric_says_not_of_where_it_stands(tmp_path):
    def fingerprint(name, text):
        return judge_from_file(write(tmp_path, text, name), Parts(Model())).fingerprint

    assert fingerprint("a.yaml", GRADED) == fingerprint("b.yaml", "# a comment\n" + GRADED)
    assert fingerprint("a.yaml", GRADED) != fingerprint("a.yaml", GRADED + "instruction: other\n")
    assert fingerprint("a.yaml", GRADED) != fingerprint("a.yaml", GRADED.replace("version: 1", "version: 2"))


def test_the_fingerprint_of_a_composition_changes_with_its_members(tmp_path):
    write(tmp_path, "id: p\nversion: 1\nkind: pairwise\n", "p.yaml")
    path = write(tmp_path, "id: t\nversion: 1\nkind: tournament\nmatch: {rubric: p.yaml}\n", "t.yaml")
    before = judge_from_file(path, Parts(Model())).fingerprint
    write(tmp_path, "id: p\nversion: 1\nkind: pairwise\nsoft: false\n", "p.yaml")
    assert judge_from_file(path, Parts(Model())).fingerprint != before
