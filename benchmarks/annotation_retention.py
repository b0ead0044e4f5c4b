"""`annotation-retention`: frames/s with the judge on over frames/s with it off, on NetHackScore.

    python -m benchmarks.annotation_retention
    python -m benchmarks.annotation_retention sources=[ranking] shares=[0.04] blocks=10 block_s=60

For each share and source two runs are alive at once, one with the judge off and one with it, and take turns, two of
three seconds on end (benchmarks/apparatus/turns.py): what else the machine does touches both alike. Each ratio is of
one block of such turns. Turns are as long as the deadlines of a frozen run allow: what a judge costs by the clock, such
as Serve's looks, falls due while a run is frozen and comes as it wakes, so that the more often it wakes the more it
seems to cost. Both have the same settings but for the reward's source, and learn in steps too small to change what they
play: what a step of the game costs depends on that. At each of `shares` that part of the observations has a caption
that was never judged (benchmarks/apparatus/share_captions.py; for ranking: so many pairs are asked); 0.04 % is ONI's. A
call of the judge has room for all that a rollout asks (docs/reward-server.md). With `shares=[null]` captions are the
game's own.
Other keys: judge, warm_up_s, turn_s, recipe, work, results; every further key is an override of the recipe, in all
runs. About an hour.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.apparatus.live import LiveRun
from benchmarks.apparatus.training import sigterm_interrupts
from benchmarks.apparatus.turns import in_turn, rates
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result
from rewards.annotation import ledger as annotation

NAME = "annotation-retention"
OFF = "extrinsic"
SOURCES = ("classification", "retrieval", "ranking")
BLOCKS = 20
ENVIRONMENTS, UNROLL = 32, 64  # so that a rollout at ONI's share has about one question
BLOCK_S = 12.0  # that each run is awake in a block
WARM_UP_S = 12.0
TURN_S = 3.0
ONIS_SHARE = 0.0004
SHARES = (ONIS_SHARE, 100 * ONIS_SHARE)
ENDLESS = {"frames": 10**12, "minutes": None, "report_every_s": 1.0, "tracking.enabled": False}
STILL = {"learner.learning_rate": 1e-12}  # too little to change what is played
ENOUGH, ENOUGH_OF_MORE = 0.95, 0.85  # at ONI's share and beyond it; ONI keeps 80 to 95 % of its frames/s


@dataclass(frozen=True)
class Window:
    """What a run did in one block."""

    frames_per_s: float
    frames: float
    questions: float
    annotated_share: float | None
    lag_s: float | None

    @property
    def asked_share(self) -> float:
        """Questions for each observation, of the run so far."""
        return self.questions / self.frames


def windows(seen: Sequence[Mapping[str, float]]) -> list[Window]:
    """What a run told of each block, of what it had told before the first and at the end of each."""
    return [
        Window(
            frames_per_s=rate,
            frames=line["frames"],
            questions=line.get("judge/asked", 0.0),
            annotated_share=line.get("annotated_share"),
            lag_s=line.get("judge/lag_s"),
        )
        for rate, line in zip(rates(seen, "learnt_frames"), seen[1:], strict=True)
    ]


@dataclass(frozen=True)
class Pair:
    """Two runs in one block: one that is paid by the game alone, and one with a judge."""

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
            "block": self.number,
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
    """Overrides with which the judge is asked about so large a share of the observations, a rollout's in one call."""
    if share is None:
        return {}
    pairs = max(1, round(share * ENVIRONMENTS * UNROLL))
    return {
        "task": "benchmarks.apparatus.share_captions:nethack",
        "task_options.share": share,
        "actors.environments": ENVIRONMENTS,
        "actors.unroll_length": UNROLL,
        "reward.pairs_per_fragment": pairs,
        "annotation.batch_size": max(annotation.Config().batch_size, 2 * pairs),
    }


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    sources: Sequence[str] = values.pop("sources", SOURCES)
    shares: Sequence[float | None] = values.pop("shares", SHARES)
    blocks, judge = int(values.pop("blocks", BLOCKS)), str(values.pop("judge", "builtin"))
    block_s, warm_up_s = float(values.pop("block_s", BLOCK_S)), float(values.pop("warm_up_s", WARM_UP_S))
    turn_s = float(values.pop("turn_s", TURN_S))
    recipe, work = str(values.pop("recipe", "nethack-score")), Path(values.pop("work", f"runs/{NAME}"))
    results = Path(values.pop("results", "docs/results"))
    common: dict[str, Any] = {"judge.kind": judge, **ENDLESS, **STILL, **values}

    def start(source: str, beside: str, share: float | None) -> LiveRun:
        settings = {**of_share(share), **common, "reward.source": source}
        place = work / "-".join(str(part) for part in (source, beside, share) if part is not None)
        place.mkdir(parents=True, exist_ok=True)
        return LiveRun(place, [recipe], {key: json.dumps(value) for key, value in settings.items()})

    found = []
    with sigterm_interrupts():
        for share, source in product(shares, sources):
            with ExitStack() as alive:
                runs = {}
                for own, beside in ((OFF, source), (source, OFF)):
                    runs[own] = start(own, beside, share)
                    alive.callback(runs[own].clear)
                seen = in_turn(runs, warm_up_s, turn_s, block_s, blocks)
            off, on = windows(seen[OFF]), windows(seen[source])
            if not on[-1].questions:
                raise UserError(f"the judge was asked nothing, see {work}")
            pairs = [Pair(source, number, off[number], on[number], share) for number in range(blocks)]
            found += pairs
            kept = figure([pair.retention for pair in pairs], "ratio")
            print(f"{pairs[0].name}: {kept.value:.3f} [{kept.low:.3f}, {kept.high:.3f}] kept", flush=True)
    command = f"python -m benchmarks.annotation_retention {' '.join(arguments)}".strip()
    print(f"{results / f'{NAME}.json'}: holds {report(found, judge, recipe, command, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
