"""`vllm-judge`: the same rubric on the same model in vLLM and in transformers: the same verdicts, and how fast.

    make vllm                                               makes .venv-vllm, with vLLM for CPUs, and runs its tests
    .venv-vllm/bin/python -m benchmarks.vllm_judge          in that environment
    .venv-vllm/bin/python -m benchmarks.vllm_judge repetitions=3 questions=128

A grade from 1 to 5 for fresh captions by rewards/judges/rubrics/nethack-progress.yaml, and scores for groups of them as
JSON. The model has random weights: only whether the engines agree on it is asked. Repetitions alternate between them.
Other keys: results, width, layers.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apparatus.random_chat_model import save_chat_model
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result
from rewards.judges.builtin.corpus import Corpus
from rewards.judges.chat_model import LocalModel
from rewards.judges.judge import Answer, Judge, Question, question
from rewards.judges.rubric import Parts, load, rubric_class
from rewards.questions import caption_question

NAME = "vllm-judge"
CLOSE = 0.01
"""Largest difference of two probabilities that counts as the same verdict."""
RUBRIC = Path(__file__).parents[1] / "rewards/judges/rubrics/nethack-progress.yaml"
GROUP = 4
"""Captions that are scored as one JSON reply."""


@dataclass(frozen=True)
class Round:
    """One batch of fresh questions to both judges; `forms` is the share of JSON replies of vLLM that keep the form."""

    vllm_per_s: float
    transformers_per_s: float
    largest_gap: float
    nulls: int
    forms: float

    def row(self, number: int) -> dict[str, Cell]:
        """As a line of the table."""
        return {
            "repetition": number,
            "vllm_questions_per_s": self.vllm_per_s,
            "transformers_questions_per_s": self.transformers_per_s,
            "largest_gap": self.largest_gap,
            "nulls": self.nulls,
            "forms": self.forms,
        }


def compare(vllm: Sequence[Answer], transformers: Sequence[Answer]) -> tuple[float, int]:
    """The largest difference of two values, and how many questions have no value from one of them.

    Raises:
        ValueError: no question has a value from both.
    """
    pairs = [(a.value, b.value) for a, b in zip(vllm, transformers, strict=True)]
    gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    if not gaps:
        raise ValueError(f"none of {len(pairs)} questions has a value from both engines; the first: {vllm[0].cause}")
    return max(gaps), len(pairs) - len(gaps)


def report(rounds: Sequence[Round], results: Path) -> Result:
    """Write the result."""
    same = all(one.largest_gap <= CLOSE and one.nulls == 0 and one.forms == 1 for one in rounds)
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"A rubric on one model gives every caption the same value in vLLM as in transformers, within {CLOSE}, leaves "
        "none without a verdict, and every JSON reply of vLLM keeps its form.",
        same,
        "make vllm && .venv-vllm/bin/python -m benchmarks.vllm_judge",
        {
            "largest difference": figure([one.largest_gap for one in rounds], "value in 0 to 1"),
            "JSON replies that keep the form": figure([one.forms for one in rounds], "share"),
            "vLLM": figure([one.vllm_per_s for one in rounds], "questions/s"),
            "transformers": figure([one.transformers_per_s for one in rounds], "questions/s"),
            "vLLM over transformers": figure([one.vllm_per_s / one.transformers_per_s for one in rounds], "ratio"),
        },
        [one.row(number) for number, one in enumerate(rounds)],
    )


def main(arguments: Sequence[str]) -> None:
    from actors.engines import transformers_engine, vllm_engine

    values = parse(arguments)
    repetitions, count = int(values.pop("repetitions", 5)), int(values.pop("questions", 256))
    width, layers = int(values.pop("width", 256)), int(values.pop("layers", 4))
    results = Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"got the keys {sorted(values)}; expected repetitions, questions, width, layers, results")
    with tempfile.TemporaryDirectory() as directory:
        model = str(save_chat_model(Path(directory), width, layers))
        there = transformers_engine.TransformersEngine(transformers_engine.Config(model=model, device="cpu"))
        here = vllm_engine.VllmEngine(vllm_engine.Config(model=model, dtype="float32", cache_mb=512))
    models = [LocalModel(engine) for engine in (here, there)]
    judges = [load(RUBRIC).build(Parts(model)) for model in models]
    listing = rubric_class("listwise").model_validate({"id": "list", "version": 1, "kind": "listwise"})
    lists = listing.build(Parts(models[0]))
    corpus = Corpus(seed=1)

    def ask(judge: Judge, questions: Sequence[Question]) -> tuple[list[Answer], float]:
        start = time.perf_counter()
        return asyncio.run(judge.judge(questions)), len(questions) / (time.perf_counter() - start)

    def fresh() -> list[Question]:
        texts = dict.fromkeys(text for text in corpus.captions(4 * count) if text)
        return [caption_question(text) for text in list(texts)[:count]]

    rounds = []
    for number in range(-1, repetitions):  # the first one warms up
        questions = fresh()
        (vllm, vllm_per_s), (transformers, transformers_per_s) = (ask(judge, questions) for judge in judges)
        groups = [question("group", [one.texts[0] for one in questions[k : k + GROUP]]) for k in range(0, 32, GROUP)]
        listed, _ = ask(lists, groups)
        forms = sum(answer.value is not None for answer in listed) / len(listed)
        one = Round(vllm_per_s, transformers_per_s, *compare(vllm, transformers), forms)
        if number >= 0:
            rounds.append(one)
            print(f"{number}: {vllm_per_s:,.0f}/s in vLLM, {transformers_per_s:,.0f}/s in transformers", flush=True)
    print(f"{results / f'{NAME}.json'}: holds {report(rounds, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError, ImportError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
