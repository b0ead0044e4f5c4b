"""Ask of stored experience what another reward would have paid, and learn from the answer.

    python examples/reannotate_and_retrain.py frames=60000

A first run learns to catch the ball. Then a reward that pays for a miss judges what was stored, beside the first, and a
policy learns from the same rows, offline, under it. Nobody plays anything again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipelines.evaluate import evaluate_run
from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.stored.offline import resolve_offline
from pipelines.stored.reannotate import reannotate
from pipelines.train import train
from rewards.functions import reward


@reward(subject="episode", version="1")
def missed(success: bool) -> float:
    """The contrary of what the game pays."""
    return 0.0 if success else 1.0


def main(words: list[str]) -> None:
    values = {"runner": "local", "tracking.enabled": False, "frames": 60_000, "record_mb": 256, **parse(words)}
    runs = Path(str(values.pop("runs", "runs")))
    played = train(apply(find_recipe("catch"), values), runs, None, say=lambda line: None)
    judged = reannotate(played, {"reward": "reannotate_and_retrain:missed"}, say=lambda line: None)
    print(*judged.lines(), sep="\n")
    offline = {
        "reward": judged.version,
        "reward.extrinsic_coefficient": 0,
        "frames": 2 * int(values["frames"]),
        "tracking.enabled": False,
    }
    contrary = train(resolve_offline(None, offline, runs, str(played.root)), runs, None, say=lambda line: None)
    for name, run in (("played", played), ("contrary", contrary)):
        print(f"\n{name}\n{evaluate_run(run, episodes=100, seed=1000, greedy=False, environments=16)}")


if __name__ == "__main__":
    main(sys.argv[1:])
