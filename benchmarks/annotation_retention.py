"""`annotation-retention`: frames/s with the judge on over frames/s with it off, on NetHackScore.

    python -m benchmarks.annotation_retention
    python -m benchmarks.annotation_retention sources=[ranking] shares=[0.04] pairs=5 window_s=120 actors.count=4

Runs alternate, off and on, and each ratio is of two neighbours, so that what else the machine does touches both alike.
Both have the same settings but for the reward's source. At each of `shares` that part of the observations has a caption
that was never judged (benchmarks/share_captions.py; for ranking: so many pairs are asked); 0.04 % is ONI's. With
`shares=[null]` captions are the game's own. Other keys: judge, warm_up_s, recipe, work, results; every further key is
an override of the recipe, in all runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.training import sigterm_interrupts, train
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result

NAME = "annotation-retention"
SOURCES = ("classification", "retrieval", "ranking")
PAIRS = 3
ENVIRONMENTS, UNROLL = 32, 64  # so that a rollout at ONI's share has about one question
WINDOW_S = 60.0
WARM_UP_S = 20.0
STARTING_S = 40.0  # of Ray, Serve and the judge, before learning begins
ONIS_SHARE = 0.0004
SHARES = (ONIS_SHARE, 100 * ONIS_SHARE)
ENOUGH, ENOUGH_OF_MORE = 0.95, 0.85  # at ONI's share and beyond it; ONI keeps 80 to 95 % of its frames/s


@dataclass(frozen=True)
class Window:
    """What happened between the end of the warm-up and the end of the window."""

    frames_per_s: float
    frames: float
    questions: float
    annotated_share: float | None
    lag_s: float | None

    @property
    def asked_share(self) -> float:
        """Questions for each observation, of the whole run: most are asked at its beginning."""
        return self.questions / self.frames


def window(metrics: Iterable[Mapping[str, float]], warm_up_s: float, window_s: float) -> Window:
    """Frames the learner consumed per second, in a window that opens after learning has gone on for `warm_up_s`.

    Args:
        metrics: lines of metrics.jsonl.
        warm_up_s: seconds of learning that do not count.
        window_s: seconds that count.

    Raises:
        ValueError: the run was over before the window.
    """
    lines = [line for line in metrics if line["learnt_frames"] > 0]
    opens = lines[0]["elapsed_s"] + warm_up_s if lines else 0.0
    inside = [line for line in lines if opens <= line["elapsed_s"] <= opens + window_s]
    if len(inside) < 2 or inside[-1]["elapsed_s"] - inside[0]["elapsed_s"] < 0.8 * window_s:
        raise ValueError(
            f"got {len(inside)} lines of metrics in a window of {window_s:g} s; the run ended before it did"
        )
    first, last = inside[0], inside[-1]
    return Window(
        frames_per_s=(last["learnt_frames"] - first["learnt_frames"]) / (last["elapsed_s"] - first["elapsed_s"]),
        frames=last["frames"],
        questions=last.get("judge/asked", 0.0),
        annotated_share=last.get("annotated_share"),
        lag_s=last.get("judge/lag_s"),
    )


@dataclass(frozen=True)
class Pair:
    """Two neighbouring runs: one that is paid by the game alone, and one with a judge."""

    source: str
    number: int
    off: Window
    on: Window
    share: float | None = None

    @property
    def name(self) -> str:
        """What the figures of such pairs are called."""
        return self.source if self.share is None else f"{self.source} at {self.share:.2%}"

    @property
    def enough(self) -> float:
        """The retention that is aimed at."""
        return ENOUGH if self.share is not None and self.share <= ONIS_SHARE else ENOUGH_OF_MORE

    @property
    def retention(self) -> float:
        """Share of the frames/s that is kept."""
        return self.on.frames_per_s / self.off.frames_per_s

    def row(self) -> dict[str, Cell]:
        """One line of the table."""
        return {
            "source": self.source,
            "share": self.share,
            "pair": self.number,
            "frames_per_s_off": self.off.frames_per_s,
            "frames_per_s_on": self.on.frames_per_s,
            "retention": self.retention,
            "asked_share": self.on.asked_share,
            "annotated_share": self.on.annotated_share,
            "label_lag_s": self.on.lag_s,
            "questions": int(self.on.questions),
            "frames": int(self.on.frames),
        }


def report(pairs: Sequence[Pair], judge: str, recipe: str, results: Path) -> Result:
    """Write the result."""
    names = list(dict.fromkeys(pair.name for pair in pairs))
    own = {name: [pair for pair in pairs if pair.name == name] for name in names}
    kept = {name: figure([pair.retention for pair in own[name]], "ratio") for name in names}
    asked = {name: figure([p.on.asked_share for p in own[name]], "share of observations") for name in names}
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"With the {judge} judge on, runs of {recipe} keep at least {ENOUGH:.0%} of the frames/s that they have with "
        f"it off at ONI's share of annotated observations, and {ENOUGH_OF_MORE:.0%} beyond it, also at the lower end "
        f"of the 95 % interval: {', '.join(names)}.",
        all(one.low is not None and one.low >= own[name][0].enough for name, one in kept.items()),
        f"python -m benchmarks.{NAME.replace('-', '_')}",
        {f"retention, {source}": one for source, one in kept.items()}
        | {f"asked, {source}": one for source, one in asked.items()},
        [pair.row() for pair in pairs],
    )


def of_share(share: float | None) -> dict[str, Any]:
    """Overrides with which the judge is asked about so large a share of the observations."""
    if share is None:
        return {}
    pairs = max(1, round(share * ENVIRONMENTS * UNROLL))
    return {
        "task": "benchmarks.share_captions:nethack",
        "task_options.share": share,
        "actors.environments": ENVIRONMENTS,
        "actors.unroll_length": UNROLL,
        "reward.pairs_per_fragment": pairs,
    }


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    sources: Sequence[str] = values.pop("sources", SOURCES)
    shares: Sequence[float | None] = values.pop("shares", SHARES)
    pairs, judge = int(values.pop("pairs", PAIRS)), str(values.pop("judge", "builtin"))
    window_s, warm_up_s = float(values.pop("window_s", WINDOW_S)), float(values.pop("warm_up_s", WARM_UP_S))
    recipe, work = str(values.pop("recipe", "nethack-score")), Path(values.pop("work", f"runs/{NAME}"))
    results = Path(values.pop("results", "docs/results"))
    common: dict[str, Any] = {"report_every_s": 1.0, "judge.kind": judge, **values}

    def measure(source: str, share: float | None, place: str) -> Window:
        minutes = (STARTING_S + warm_up_s + window_s) / 60
        run = train(recipe, {**of_share(share), **common, "reward.source": source}, work / place, minutes)
        return window(run.lines(run.metrics), warm_up_s, window_s)

    found = []
    with sigterm_interrupts():
        for number in range(pairs):
            for source, share in product(sources, shares):
                place = source if share is None else f"{source}-{share:g}"
                off = measure("extrinsic", share, f"{place}-{number}-off")
                on = measure(source, share, f"{place}-{number}-on")
                if not on.questions:
                    raise UserError(f"{place}: the judge was asked nothing, see {work / f'{place}-{number}-on'}")
                found.append(Pair(source, number, off, on, share))
                rates = f"{off.frames_per_s:,.0f} off, {on.frames_per_s:,.0f} on"
                print(f"{found[-1].name} {number}: {rates}, {found[-1].retention:.2f} kept", flush=True)
    print(f"{results / f'{NAME}.json'}: holds {report(found, judge, recipe, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
