"""`guerdon methods`: the index of methods from papers on reward design, what each is here, and how far it has come.

The index is docs/methods.yaml, one entry a paper; docs/methods.md is made from it (`python -m pipelines.methods`).
"""

from __future__ import annotations

import importlib
import shlex
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.errors import UserError
from pipelines.results import Result, read_result
from rewards.views.layout import Level
from rewards.views.view import Config as ViewConfig

DOCS = Path(__file__).resolve().parents[1] / "docs"
INDEX, PAGE = DOCS / "methods.yaml", DOCS / "methods.md"
Kind = Literal[
    "source", "shaping", "aggregation", "credit", "objective", "reward_model", "recipe", "evaluation", "search", "data",
    "survey", "environment", "system",
]  # fmt: skip


class Method(BaseModel):
    """One paper's method.

    Attributes:
        n: its number.
        paper: title.
        kind: the part it is at heart.
        name: the field's term.
        status: `works` (mechanism, identity test and check are all there), `partial`, or `planned`.
        part: dotted path of what computes it, `module:Name`.
        preset: of that part, where it has presets.
        maps: how the paper's mechanism maps to the part, and what was chosen where the paper does not say.
        config: how it is written in a recipe, as YAML or Python; parts of a view as a list of them.
        run: of a view, which kind of run has the columns that it reads; None: a loop of one's own.
        columns: of a view for a loop of one's own, what each column is of where that is no step.
        identity: the test that holds it to numbers worked by hand, `tests/…/test_x.py::test_name`.
        check: dotted path of its experiment.
        evidence: the result of that, below docs/results/.
        missing: what is not there yet; with status `partial`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(ge=1)
    paper: str = Field(min_length=1)
    kind: Kind
    name: str = Field(min_length=1)
    status: Literal["works", "partial", "planned"]
    part: str | None = None
    preset: str | None = None
    maps: str | None = None
    config: str | None = None
    run: Literal["language", "environment"] | None = None
    columns: dict[str, Level] = {}
    identity: str | None = None
    check: str | None = None
    evidence: str | None = None
    missing: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Method:
        needed = {
            "works": ("part", "maps", "config", "identity", "check", "evidence"),
            "partial": ("part", "maps", "missing"),
            "planned": (),
        }[self.status]
        if lacking := [key for key in needed if getattr(self, key) is None]:
            raise ValueError(f"row {self.n} is {self.status!r} without {', '.join(lacking)}")
        return self

    @property
    def parts(self) -> list[Any] | None:
        """The list of parts that its config shows, as data; None where that is something else."""
        lines = [line for line in (self.config or "").splitlines() if not line.startswith("guerdon ")]
        return yaml.safe_load("\n".join(lines)) if any(line.startswith("- ") for line in lines) else None

    @property
    def view(self) -> ViewConfig | None:
        """The view that its config shows; None where that is something else.

        Raises:
            ValidationError: parts that there are not, or that do not take these settings.
        """
        if self.parts is None:
            return None
        return ViewConfig.model_validate({"name": self.name, "components": self.columns, "parts": self.parts})

    @property
    def result(self) -> Result | None:
        """What its experiment found; None where there is none."""
        return read_result(DOCS / "results" / self.evidence) if self.evidence else None


def read_index(path: Path = INDEX) -> list[Method]:
    """All entries, by number.

    Raises:
        UserError: the index has not its form.
    """
    try:
        # As `safe_load`, but by libyaml where PyYAML has it: the index is long, and read at each call of the command.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
        try:
            entries = loader.get_single_data()
        finally:
            loader.dispose()
        found = [Method.model_validate(entry) for entry in entries]
    except (OSError, ValidationError, yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path} cannot be read as an index of methods: {error}") from None
    numbers = [method.n for method in found]
    if numbers != sorted(set(numbers)):
        raise UserError(f"{path}: got numbers that are not in order, or twice")
    return found


def part_of(method: Method) -> Any:
    """The thing that computes it.

    Raises:
        UserError: there is nothing of that name.
    """
    module, _, name = (method.part or "").partition(":")
    try:
        found: Any = importlib.import_module(module)
        for attribute in name.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"row {method.n}: {method.part} cannot be imported: {error}") from None
    return found


def search(methods: Sequence[Method], text: str) -> list[Method]:
    """Those that have every word of `text` in what is said of them."""
    words = text.lower().split()

    def told(method: Method) -> str:
        said = (method.paper, method.kind, method.name, method.status, method.part, method.preset, method.maps)
        return " ".join(word for word in said if word).lower()

    return [method for method in methods if all(word in told(method) for word in words)]


def listing(methods: Sequence[Method]) -> str:
    """One line a method."""
    return "\n".join(f"{m.n:4}  {m.status:8} {m.kind:13} {m.name:42} {m.paper}"[:150] for m in methods)


def trial(method: Method) -> str | None:
    """The command that shows its view in a run, where a run has what it reads; None where none has.

    What no run brings along is a function of the user's own: `my_lab.rewards:NAME` or `my_lab.columns:NAME`.
    """
    from pipelines.language.reward_view import OF, WORLD

    if method.run is None or (view := method.view) is None:
        return None
    shown = {"name": method.name, "parts": method.parts}
    if method.run == "language":
        own = {name: f"my_lab.rewards:{name}" for name in view.inputs if name not in {*OF, WORLD, "right"}}
        values = {"rewards.functions": own, "rewards.view": shown}
    else:
        own = {name: f"my_lab.columns:{name}" for name in view.inputs if name != "extrinsic"}
        values = {"reward.observed": own, "reward.view": shown}
    words = ["guerdon", "train", "rlvr" if method.run == "language" else "catch"]
    for key, value in values.items():
        if value:
            text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1 << 20).strip()
            words.append(f"{key}={shlex.quote(text)}")
    return " ".join([*words, "--dry-run"])


def card(method: Method) -> str:
    """All that is known of one method."""
    lines = [f"{method.n}  {method.paper}", f"{method.kind}: {method.name}  ({method.status})"]
    if method.part:
        lines.append(f"part      {method.part}" + (f"  preset {method.preset}" if method.preset else ""))
    for key in ("maps", "missing"):
        if text := getattr(method, key):
            lines += textwrap.wrap(f"{key:9} {text}", 110, subsequent_indent=" " * 10)
    if method.config:
        lines += ["config", textwrap.indent(method.config.rstrip(), "    ")]
    if command := trial(method):
        lines.append(f"try       {command}")
    elif method.view is not None:
        levels = ", ".join(f"{name} of each {level}" for name, level in method.columns.items())
        lines.append(f"use       in a loop of your own, by rewards.views.view.RewardView; columns: {levels}")
    if method.identity:
        lines.append(f"identity  {method.identity}")
    if (result := method.result) is not None:
        lines.append(f"evidence  docs/results/{method.evidence}: {'holds' if result.holds else 'does not hold'}")
        lines += textwrap.wrap(result.claim, 100, initial_indent=" " * 10, subsequent_indent=" " * 10)
        for name, found in result.figures.items():
            interval = "" if found.low is None else f"  [{found.low:.4g}, {found.high:.4g}]"
            lines.append(f"          {name}: {found.value:.4g}{interval} {found.unit}")
        lines.append(f"repeat    {result.command}")
    return "\n".join(lines)


def page(methods: Sequence[Method]) -> str:
    """docs/methods.md."""
    status = Counter(method.status for method in methods)
    lines = [
        "# Methods",
        "",
        "What papers on reward design have found, and what each is in Guerdon. `guerdon methods TEXT` searches this",
        "list, `guerdon methods show N` prints mechanism, config and evidence of one. A method *works* when its",
        "mechanism, a test of its identity and the result of its experiment are all there; an experiment whose claim",
        "did not come true is kept and says so. This page is made from [methods.yaml](methods.yaml) by",
        "`python -m pipelines.methods`.",
        "",
        ", ".join(f"{count} {name}" for name, count in sorted(status.items())) + ".",
    ]
    for kind in get_args(Kind):
        own = [m for m in methods if m.kind == kind]
        if not own:
            continue
        lines += ["", f"## {kind.replace('_', ' ').capitalize()}", ""]
        lines += ["| n | method | paper | status | part | evidence |", "|---|---|---|---|---|---|"]
        for m in own:
            part = f"`{m.part.partition(':')[2]}`" + (f" `{m.preset}`" if m.preset else "") if m.part else ""
            seen = m.result
            evidence = f"[{'holds' if seen.holds else 'does not hold'}](results/{m.evidence})" if seen else ""
            title = m.paper.replace("|", "\\|")
            lines.append(f"| {m.n} | {m.name.replace('_', ' ')} | {title} | {m.status} | {part} | {evidence} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(read_index()), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
