"""Worked examples: rewards that are hacked, seen and mended, and two that pull apart; see docs/hallucination.md.

    python -m benchmarks.worked                         all of them
    python -m benchmarks.worked verbosity               one: hallucination, verbosity or trade-off
    python -m benchmarks.worked verbosity seeds=3 work=runs/worked results=docs/results

Runs go one after another in one thread each; each is kept below `work` when it is done, and not run again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.worked import hallucination, trade_off, verbosity
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Result

EXAMPLES: dict[str, tuple[Callable[[int, Path, Path], Result], int]] = {
    "hallucination": (hallucination.run, hallucination.SEEDS),
    "verbosity": (verbosity.run, verbosity.SEEDS),
    "trade-off": (trade_off.run, trade_off.SEEDS),
}


def main(arguments: Sequence[str]) -> None:
    """Run some, and say what came of them."""
    names = [word for word in arguments if "=" not in word]
    values: dict[str, Any] = parse([word for word in arguments if "=" in word])
    work, results = Path(str(values.pop("work", "runs/worked"))), Path(str(values.pop("results", "docs/results")))
    seeds = values.pop("seeds", None)
    if values or (wrong := [name for name in names if name not in EXAMPLES]):
        raise UserError(
            f"got {', '.join(values) or ', '.join(wrong)}; expected some of {', '.join(EXAMPLES)}, seeds=, work=, "
            "results="
        )
    for name in names or EXAMPLES:
        run, usual = EXAMPLES[name]
        result = run(usual if seeds is None else int(seeds), work, results)
        for title, one in result.figures.items():
            interval = "" if one.low is None else f" [{one.low:.3g}, {one.high:.3g}]"
            print(f"{title:60} {one.value:.3g}{interval} {one.unit}, n={one.n}")
        print(f"{results / result.name}.json: holds {result.holds}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"worked: {error}")
    except KeyboardInterrupt:
        sys.exit("worked: interrupted; every run that was finished is kept, and is not run again")
