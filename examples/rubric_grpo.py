"""GRPO on the word of a judge who goes by a rubric.

    python examples/rubric_grpo.py updates=100
    python examples/rubric_grpo.py model=/path/to/a/chat/model rewards.judge.path=my-rubric.yaml

The small model and the small judge are made here, on first use; name real ones for judgements worth having.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipelines.language.policy import evaluate_language
from pipelines.language.train import train
from pipelines.overrides import apply, parse
from pipelines.recipes.language import rubric_grpo


def main(words: list[str]) -> None:
    values = {"tracking.enabled": False, **parse(words)}
    runs = Path(str(values.pop("runs", "runs")))
    run = train(apply(rubric_grpo(), values), runs, None)
    print(evaluate_language(run, episodes=100, seed=1000, greedy=False))


if __name__ == "__main__":
    main(sys.argv[1:])
