"""A picture of one run: task success, what was paid by whom, and what the judge said of each caption.

python -m benchmarks.picture runs/NAME docs/pictures/run.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.stored_experience import stored_verdicts
from rewards.verdicts import Verdict

SHOWN = 14  # captions
LONGEST = 46  # characters of one


def draw(run: RunDirectory, path: Path) -> None:
    """Three panels over the frames of a run.

    Raises:
        UserError: it has no metrics.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [line for line in run.lines(run.metrics) if line["learnt_frames"] > 0]
    if not lines:
        raise UserError(f"{run.root} has no metrics yet; expected a run that has learnt for a while")
    frames = [line["learnt_frames"] / 1000 for line in lines]
    figure, (success, paid, said) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    success.plot(frames, [100 * line.get("success_rate", 0.0) for line in lines], color="#2b5c8a", linewidth=2)
    success.set_title("task success, % of the last 100 episodes", fontsize=10, loc="left")
    success.set_ylim(-3, 103)
    for name, colour, label in (("extrinsic", "#6e6e73", "from the game"), ("intrinsic", "#c4702b", "from the judge")):
        values = [line.get(f"learner/reward_{name}", 0.0) for line in lines]
        paid.plot(frames, values, color=colour, linewidth=2, label=label)
    paid.set_title("reward a step, mean of 50 updates", fontsize=10, loc="left")
    paid.legend(frameon=False)
    for axis in (success, paid):
        axis.set_xlabel("thousand frames")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    said.set_axis_off()
    said.set_title("captions, and the judge's verdict", fontsize=10, loc="left")
    verdicts = sorted(stored_verdicts(run), key=lambda v: -1.0 if v.value is None else -v.value)
    for row, verdict in enumerate(verdicts[:SHOWN]):
        height = 0.95 - row / SHOWN
        said.text(0.0, height, _shown(verdict), color="#c4702b", weight="bold", fontsize=9, transform=said.transAxes)
        said.text(0.09, height, _cut(verdict.text), fontsize=9, transform=said.transAxes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white")
    pyplot.close(figure)


def _shown(verdict: Verdict) -> str:
    return verdict.status.value if verdict.value is None else f"{verdict.value:g}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


if __name__ == "__main__":
    try:
        draw(RunDirectory(Path(sys.argv[1])), Path(sys.argv[2]))
    except (UserError, IndexError) as error:
        sys.exit(f"picture: {error}; usage: python -m benchmarks.picture RUN FILE")
