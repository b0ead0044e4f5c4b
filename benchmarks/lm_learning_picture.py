"""The picture of `lm-learning`: success by updates, and of `rlhf` the learned reward, the gold one and the KL.

python -m benchmarks.lm_learning_picture docs/results/lm-learning.json docs/results/lm-learning.png
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]
PANELS = (
    ("rlvr", ("success",), "random arithmetic, GRPO: pass@1"),
    ("agent", ("success",), "agent with tools, GRPO: success"),
    ("rlhf", ("gold", "judge", "kl"), "rlhf: gold reward, learned reward, KL by updates"),
)
COLOURS = {"success": "tab:blue", "gold": "tab:green", "judge": "tab:red", "kl": "tab:gray"}
LABELS = {
    "success": "success",
    "gold": "gold reward",
    "judge": "learned reward (logit)",
    "kl": "KL to the start, nats a token",
}
SMOOTH = 5


def smoothed(values: Sequence[float], width: int = SMOOTH) -> list[float]:
    """The mean of each value and those around it, `width` in all where there are so many."""
    half = width // 2
    parts = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def points(rows: Rows, recipe: str, seed: int, name: str) -> tuple[list[int], list[float]]:
    """One curve of one seed: updates, and values; success as it was seen, all else smoothed."""
    told = [
        (int(row["updates"]), float(row[name]))
        for row in rows
        if row["recipe"] == recipe and row["seed"] == seed and row["what"] == "curve" and row[name] is not None
    ]
    values = [value for _, value in told]
    return [update for update, _ in told], values if name == "success" else smoothed(values)


def draw(rows: Rows, path: Path) -> None:
    """Draw a panel for each recipe that was measured, a line for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [panel for panel in PANELS if any(row["recipe"] == panel[0] for row in rows)]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False)
    for axis, (recipe, names, title) in zip(axes[0], panels, strict=True):
        seeds = sorted({row["seed"] for row in rows if row["recipe"] == recipe})
        for name in names:
            for number, seed in enumerate(seeds):
                label = LABELS[name] if number == 0 else None
                axis.plot(*points(rows, recipe, seed, name), color=COLOURS[name], alpha=0.7, label=label)
        for row in rows:
            if row["recipe"] == recipe and row["what"] == "sft":
                first = row["seed"] == seeds[0]
                label = "SFT alone, as long" if first else None
                axis.axhline(row["success"], color="tab:orange", linestyle="--", alpha=0.7, label=label)
        axis.set(title=title, xlabel="updates")
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("expected: python -m benchmarks.lm_learning_picture RESULT.json PICTURE.png")
    draw(json.loads(Path(sys.argv[1]).read_text())["rows"], Path(sys.argv[2]))
