"""`guerdon new`: a skeleton that works, with its test, in the user's own package.

What is written are two files of templates in this folder, with a package and a name put in. Nothing that is there is
written over, nothing is written outside of the directory that was given, and no name is taken that something else has.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from pipelines.errors import UserError
from pipelines.house import FOLDERS

KINDS = ("env", "reward", "judge", "recipe")
TEMPLATES = Path(__file__).parent
PLAIN = re.compile(r"[a-z][a-z0-9_]{0,63}")
OF_THE_HOUSE = {*FOLDERS, "benchmarks", "docs", "examples", "guerdon", "tests"}
NEXT = {
    "env": "guerdon train catch task={path}:{name} runner=local frames=3000 tracking.enabled=false",
    "reward": "guerdon reannotate RUN reward={path}:{name}",
    "judge": "guerdon train catch judge.kind=custom judge.path={path}:{cls} reward.source=retrieval runner=local "
    "frames=3000 tracking.enabled=false",
    "recipe": "guerdon train {path}:{name} runner=local tracking.enabled=false",
}


def write_skeleton(kind: str, dotted: str, where: Path) -> tuple[list[Path], str]:
    """Write a skeleton and its test.

    Args:
        kind: one of `KINDS`.
        dotted: `package.name`, such as `my_lab.mazes`.
        where: directory that holds, or is to hold, the package.

    Returns:
        The files that were written, and the command that uses them.

    Raises:
        UserError: kind or name do not fit, a file is there already, or it cannot be written.
    """
    if kind not in KINDS:
        raise UserError(f"got {kind!r}; expected one of {', '.join(KINDS)}: guerdon new {KINDS[0]} my_lab.mazes")
    package, name = split_name(dotted)
    root = where.resolve()
    if not root.is_dir():
        raise UserError(f"got in={where}, which is no directory; make it first")
    refuse_taken(package, root)
    folder = root / package
    if folder.is_symlink() or folder.resolve().parent != root:
        raise UserError(
            f"got package {package!r}, and {folder} leads elsewhere; give a package that is a folder of {root}"
        )
    cls = "".join(part.capitalize() for part in name.split("_"))
    files = {folder / f"{name}.py": kind, folder / f"test_{name}.py": f"{kind}_test"}
    for path in files:
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} is there already; give another name, or take it away")
    written = []
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / "__init__.py").exists():
            files = {folder / "__init__.py": "", **files}
        for path, template in files.items():
            content = ""
            if template:
                text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
                for mark, value in (("PACKAGE", package), ("CLASS", cls), ("NAME", name)):
                    text = text.replace(mark, value)
                content = text
            with path.open("x", encoding="utf-8") as file:  # also where somebody made it in between
                file.write(content)
            written.append(path)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror}; choose another place with in=DIRECTORY"
        ) from None
    return written, NEXT[kind].format(path=f"{package}.{name}", name=name, cls=cls)


def split_name(dotted: str) -> tuple[str, str]:
    """Package and name of `package.name`.

    Raises:
        UserError: it is something else.
    """
    parts = dotted.split(".")
    fits = len(parts) == 2 and all(PLAIN.fullmatch(part) and not keyword.iskeyword(part) for part in parts)
    if not fits or parts[1].startswith("test_"):
        raise UserError(
            f"got name {dotted!r}; expected PACKAGE.NAME, each a Python name of small letters, digits and '_', "
            "such as my_lab.mazes"
        )
    return parts[0], parts[1]


def refuse_taken(package: str, root: Path) -> None:
    """Refuse the name of a package that is somebody else's.

    Raises:
        UserError: it is the house's, Python's own, or that of something installed.
    """
    if package in OF_THE_HOUSE:
        raise UserError(f"got package {package!r}, which is a folder of Guerdon's own; give your package its own name")
    if package in sys.stdlib_module_names:
        raise UserError(f"got package {package!r}, which is a module of Python's; give your package its own name")
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    places = [Path(place).resolve() for place in (found.submodule_search_locations or ())] if found else []
    origin = [Path(found.origin).resolve()] if found and found.origin and not places else []
    if any(place != root / package for place in places) or origin:
        where = (places + origin)[0]
        raise UserError(
            f"got package {package!r}, which is installed already ({where}); give your package its own name"
        )
