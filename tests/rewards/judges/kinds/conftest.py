"""A language model that does what the test says, and ways to ask rubrics with it."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from rewards.judges.chat_model import Reply
from rewards.judges.rubric import Parts, rubric_class


class Scripted:
    """`choose(chat, choices)` gives probabilities or a certain word; `write(chat, schema)` gives the reply."""

    special_tokens = ("<|end|>",)

    def __init__(self, choose=None, write=None, fingerprint="scripted"):
        self.fingerprint = fingerprint
        self._choose, self._write = choose, write
        self.chosen, self.written = [], []

    @asynccontextmanager
    async def session(self):
        yield self

    async def choose(self, chat, choices):
        self.chosen.append((chat, tuple(choices)))
        found = self._choose(chat, choices)
        if isinstance(found, str):
            found = [float(choice == found) for choice in choices]
        return Reply(probabilities=tuple(found), tokens=10)

    async def write(self, chat, max_tokens, schema=None):
        self.written.append((chat, schema))
        found = self._write(chat, schema)
        return Reply(text=found if isinstance(found, str) else json.dumps(found), tokens=20)


@pytest.fixture
def scripted():
    return Scripted


@pytest.fixture
def rubric():
    def make(kind, **settings):
        return rubric_class(kind).model_validate({"id": "test", "version": 1, "kind": kind, **settings})

    return make


@pytest.fixture
def ask():
    def judge(rubric, model, *questions, **parts):
        built = rubric.build(Parts(model, **parts)) if not hasattr(rubric, "judge") else rubric
        answers = asyncio.run(built.judge(questions))
        assert len(answers) == len(questions)
        return answers[0] if len(questions) == 1 else answers

    return judge
