"""The checks of methods: `python -m benchmarks.methods ROW…` or `all`.

    python -m benchmarks.methods 46
    python -m benchmarks.methods 46 99 results=/tmp/here
    python -m benchmarks.methods all

Each writes docs/results/methods/ROW-NAME.json. Which check belongs to which row stands in docs/methods.yaml.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.apparatus.training import sigterm_interrupts
from benchmarks.methods.experiment import Check, run
from pipelines.errors import UserError
from pipelines.methods import read_index
from pipelines.overrides import parse


def check_of(path: str) -> Check:
    """A check by its dotted path, `benchmarks.methods.checks.lengths:GATED`."""
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, Check):
        raise UserError(f"{path}: got {found!r}; expected a Check")
    return found


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code: 1 where a claim does not hold."""
    numbers = [word for word in arguments if "=" not in word]
    values = parse([word for word in arguments if "=" in word])
    results = Path(values.pop("results", "docs/results/methods"))
    if values or not numbers:
        raise UserError(f"got {list(arguments)}; expected numbers of rows or `all`, and results=")
    index = {entry.n: entry for entry in read_index() if entry.check}
    if numbers != ["all"] and (unknown := [n for n in numbers if not n.isdigit() or int(n) not in index]):
        raise UserError(f"got rows {unknown}; expected some of {sorted(index)}: the others have no check yet")
    torch.set_num_threads(1)  # the worlds are small: threads would only wait for each other
    holds = True
    for n in index if numbers == ["all"] else map(int, numbers):
        holds &= run(check_of(index[n].check or ""), results).holds
    return 0 if holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"methods: {error}")
