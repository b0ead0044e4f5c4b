"""`annotation-retention`: frames/s with the judge on over frames/s with it off, on NetHackScore.

    python -m benchmarks.annotation_retention
    python -m benchmarks.annotation_retention sources=[ranking] shares=[0.04] rounds=5 window_s=120 actors.count=4

Runs take turns, one with the judge off and then one with each source, `rounds` times over, and each ratio is of runs of
the same round, so that what else the machine does touches both alike. Both have the same settings but for the reward's
source. At each of `shares` that part of the observations has a caption that was never judged
(benchmarks/apparatus/share_captions.py; for ranking: so many pairs are asked); 0.04 % is ONI's. With `shares=[null]`
captions are the game's own. Other keys: judge, warm_up_s, recipe, work, results; every further key is an override of
the recipe, in all runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.apparatus.training import sigterm_interrupts
from pipelines.errors import UserError
from pipelines.machines.trial import Trial, trial
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result

NAME = "annotation-retention"
OFF = "extrinsic"
SOURCES = ("classification", "retrieval", "ranking")
ROUNDS = 3
ENVIRONMENTS, UNROLL = 32, 64  # so that a rollout at ONI's share has about one question
WINDOW_S = 60.0
WARM_UP_S = 20.0
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


def window(seen: Trial) -> Window:
    """What a run told in its window."""
    return Window(
        frames_per_s=seen.frames_per_s,
        frames=seen.metrics["frames"],
        questions=seen.metrics.get("judge/asked", 0.0),
        annotated_share=seen.metrics.get("annotated_share"),
        lag_s=seen.metrics.get("judge/lag_s"),
    )


@dataclass(frozen=True)
class Pair:
    """Two runs of one round: one that is paid by the game alone, and one with a judge."""

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
            "round": self.number,
            "frames_per_s_off": self.off.frames_per_s,
            "frames_per_s_on": self.on.frames_per_s,
            "retention": self.retention,
            "asked_share": self.on.asked_share,
            "annotated_share": self.on.annotated_share,
            "label_lag_s": self.on.lag_s,
            "questions": int(self.on.questions),
            "frames": int(self.on.frames),
        }


def report(pairs: Sequence[Pair], judge: str, recipe: str, command: str, results: Path) -> Result:
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
        command,
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
        "task": "benchmarks.apparatus.share_captions:nethack",
        "task_options.share": share,
        "actors.environments": ENVIRONMENTS,
        "actors.unroll_length": UNROLL,
        "reward.pairs_per_fragment": pairs,
    }


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    sources: Sequence[str] = values.pop("sources", SOURCES)
    shares: Sequence[float | None] = values.pop("shares", SHARES)
    rounds, judge = int(values.pop("rounds", ROUNDS)), str(values.pop("judge", "builtin"))
    window_s, warm_up_s = float(values.pop("window_s", WINDOW_S)), float(values.pop("warm_up_s", WARM_UP_S))
    recipe, work = str(values.pop("recipe", "nethack-score")), Path(values.pop("work", f"runs/{NAME}"))
    results = Path(values.pop("results", "docs/results"))
    common: dict[str, Any] = {"judge.kind": judge, **values}

    def measure(source: str, share: float | None, number: int) -> Window:
        settings = {**of_share(share), **common, "reward.source": source}
        words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        place = work / "-".join(str(part) for part in (source, share, number) if part is not None)
        found = window(trial([recipe, *words], warm_up_s, window_s, place))
        if source != OFF and not found.questions:
            raise UserError(f"the judge was asked nothing, see {place}")
        return found

    found = []
    with sigterm_interrupts():
        for number, share in product(range(rounds), shares):
            off = measure(OFF, share, number)
            for source in sources:
                found.append(Pair(source, number, off, measure(source, share, number), share))
                rates = f"{off.frames_per_s:,.0f} off, {found[-1].on.frames_per_s:,.0f} on"
                print(f"{found[-1].name} {number}: {rates}, {found[-1].retention:.2f} kept", flush=True)
    command = f"python -m benchmarks.annotation_retention {' '.join(arguments)}".strip()
    print(f"{results / f'{NAME}.json'}: holds {report(found, judge, recipe, command, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
