"""docs/taxonomy.md: what surveys of the field list, leaf by leaf, and where each leaf is here; read, and looked after.

A survey is a heading that names its row of the methods, `## Title (row N)`. Its leaves are the rows of the tables below
it: first the branch, then the leaf, and last where it is: modules as `code`, rows as links to the page of methods, or
the words "not covered".

    coverage = leaves that lead somewhere / all leaves
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import UserError
from pipelines.methods import DOCS, Method

PAGE = DOCS / "taxonomy.md"
NOT_COVERED = "not covered"
SURVEY = re.compile(r"^## .*\(row (\d+)\)$")
MODULE = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)`")
ROW = re.compile(r"\[(\d+)\]\(methods\.md#([a-z-]+)\)")


@dataclass(frozen=True)
class Leaf:
    """One thing that a survey lists.

    Attributes:
        survey: row of the survey.
        branch: what the leaf belongs to.
        name: what it is.
        modules: that implement it, dotted.
        rows: of docs/methods.md, each with the heading that it is said to stand under.
        cells: what else the page says of it, between its name and where it is.
    """

    survey: int
    branch: str
    name: str
    modules: tuple[str, ...]
    rows: tuple[tuple[int, str], ...]
    cells: tuple[str, ...] = ()

    @property
    def covered(self) -> bool:
        """Whether it leads anywhere."""
        return bool(self.modules or self.rows)


def leaves_of(page: str) -> list[Leaf]:
    """All leaves of a page, in its order.

    Args:
        page: Markdown.

    Raises:
        UserError: a row of a table that leads nowhere without saying so, or leads somewhere and says that it does not.
    """
    found, survey, head = list[Leaf](), 0, True
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("## "):
            heading = SURVEY.match(line)
            survey = int(heading[1]) if heading else 0
        if not line.startswith("|"):
            head = True
            continue
        if head or set(line) <= set("|- "):
            head = False
            continue
        branch, name, *cells, where = (cell.strip() for cell in line.strip("|").split("|"))
        modules, rows = tuple(MODULE.findall(where)), tuple((int(n), kind) for n, kind in ROW.findall(where))
        if not survey or bool(modules or rows) == where.startswith(NOT_COVERED):
            raise UserError(
                f"line {number} of the taxonomy: got {where!r}; expected, below a heading that names a row, modules "
                f"and rows, or {NOT_COVERED!r}"
            )
        found.append(Leaf(survey, branch, name, modules, rows, tuple(cells)))
    return found


def dead_links(leaves: Sequence[Leaf], methods: Sequence[Method]) -> list[str]:
    """Whatever a leaf leads to that is not there: a module, or a row that works and stands under that heading.

    Args:
        leaves: of the page.
        methods: the index.
    """
    headings = {method.n: method.kind.replace("_", "-") for method in methods if method.status == "works"}
    modules = {module: _there(module) for leaf in leaves for module in leaf.modules}
    return [
        *(f"{leaf.name}: {module}" for leaf in leaves for module in leaf.modules if not modules[module]),
        *(f"{leaf.name}: row {n}" for leaf in leaves for n, heading in leaf.rows if headings.get(n) != heading),
    ]


def coverage(leaves: Sequence[Leaf]) -> float:
    """Share of leaves that lead somewhere.

    Raises:
        ValueError: there are no leaves.
    """
    if not leaves:
        raise ValueError("got no leaves; expected those of one survey at least")
    return sum(leaf.covered for leaf in leaves) / len(leaves)


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the folder that it would be in
        return False
