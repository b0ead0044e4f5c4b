"""The files of a checkout that go to a cluster: without what is ignored, and refused where a secret is among them.

Ignored is what `.gitignore`, `.guerdonignore` or `.rayignore` says, in any folder, by git's rules; `.git` and the
virtual environment never go. What is packed lies on the cluster for whoever may read its storage: so a file that looks
like a key is no warning but the end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from cluster.secrecy import TOKENS
from pipelines.errors import UserError

IGNORE_FILES = (".gitignore", ".guerdonignore", ".rayignore")
NEVER = {".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "node_modules", ".ssh", ".aws", ".gnupg"}
MAX_MB = 100
SHOWN = 5  # files that a refusal names

SECRET_NAME = re.compile(
    r"\.env(\..+)?|\.envrc|.*\.(env|pem|key|p12|pfx|jks|kdbx|keystore|ovpn)|id_(rsa|dsa|ecdsa|ed25519)(?!.*\.pub$).*"
    r"|\.?(netrc|pypirc|npmrc|pgpass|htpasswd|git-credentials|dockercfg|s3cfg|boto)|auth_token|kubeconfig"
    r"|.*(credential|secret)s?\.(json|ya?ml|toml|ini|txt|csv|env)|credentials|.*service[-_]account.*\.json",
    re.IGNORECASE,
)
"""Names of files that hold keys, by convention."""
HARMLESS_NAME = re.compile(r"\.env\.(example|sample|template|dist)|(example|sample|template)\.env", re.IGNORECASE)
SECRET_TEXT = re.compile(TOKENS.encode())
"""What keys look like inside of a file."""
SEARCHED_BYTES = 2 * 2**20  # larger files are data, and are searched as far as this


@dataclass(frozen=True)
class Packed:
    """What goes.

    Attributes:
        files: paths below the root, in order.
        size_bytes: of all of them.
    """

    files: tuple[Path, ...]
    size_bytes: int


def chosen(root: Path, max_mb: float = MAX_MB) -> Packed:
    """The files of a checkout that are not ignored.

    Raises:
        UserError: they are too large, one looks like a secret or cannot be read, or a link leads out of the checkout.
    """
    try:
        return _chosen(root.resolve(), max_mb)
    except (OSError, RuntimeError) as error:  # a link that leads to itself is a RuntimeError until Python 3.13
        what = " ".join(str(error).split())
        raise UserError(f"the checkout cannot be read: {what}; mend it, or name it in .guerdonignore") from None


def _chosen(root: Path, max_mb: float) -> Packed:
    files = tuple(sorted(_walk(root, Path(), ())))
    sizes = {file: (root / file).stat().st_size for file in files}
    total = sum(sizes.values())
    if total > max_mb * 2**20:
        largest = sorted(files, key=lambda file: -sizes[file])[:SHOWN]
        shown = ", ".join(f"{file} ({sizes[file] / 2**20:.1f} MB)" for file in largest)
        raise UserError(
            f"the checkout is {total / 2**20:.0f} MB without what is ignored; expected {max_mb:g} MB at most. The "
            f"largest files: {shown}. Name what the job does not need in .guerdonignore, or raise max_mb="
        )
    if secrets := [file for file in files if looks_secret(root / file)]:
        more = f" and {len(secrets) - SHOWN} more" if len(secrets) > SHOWN else ""
        raise UserError(
            f"{', '.join(map(str, secrets[:SHOWN]))}{more}: looks like a key or a password, and would lie on the "
            "cluster for others to read. Move it out of the checkout, or name it in .guerdonignore; what a job must "
            "know, the cluster gives it (docs/jobs.md)"
        )
    return Packed(files, total)


def looks_secret(path: Path) -> bool:
    """Whether a file is a secret by its name or by what is in it."""
    for name in {path.name, path.resolve().name}:  # a link is what it leads to, whatever it is called
        if SECRET_NAME.fullmatch(name) and not HARMLESS_NAME.fullmatch(name):
            return True
    with path.open("rb") as file:
        return SECRET_TEXT.search(file.read(SEARCHED_BYTES)) is not None


def stage(root: Path, packed: Packed, to: Path) -> None:
    """Copy what was chosen, and nothing else, into an empty folder."""
    for file in packed.files:
        (to / file.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / file, to / file)


Rules = tuple[Path, GitIgnoreSpec]


def _walk(root: Path, folder: Path, rules: Sequence[Rules]) -> Iterator[Path]:
    """Files below a folder that no rule ignores; a folder that is ignored is not looked into."""
    here = root / folder
    lines = [line for name in IGNORE_FILES for line in _lines(here / name)]
    rules = [*rules, (folder, GitIgnoreSpec.from_lines(lines))] if lines else rules
    for entry in sorted(here.iterdir()):
        path = folder / entry.name
        is_folder = entry.is_dir()
        if entry.name in NEVER or _ignored(path, is_folder, rules):
            continue
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise UserError(
                f"{path} is a link that leads out of the checkout, to {entry.resolve()}; expected files that are in "
                "it: copy what is meant, or name the link in .guerdonignore"
            )
        if is_folder and entry.is_symlink():
            continue  # what it leads to is packed where it is
        if is_folder:
            if not (entry / "pyvenv.cfg").exists():
                yield from _walk(root, path, rules)
        elif entry.is_file():
            yield path


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _ignored(path: Path, is_folder: bool, rules: Sequence[Rules]) -> bool:
    """Whether the last rule that speaks of a path ignores it; rules of deeper folders come later."""
    verdict = False
    for folder, spec in rules:
        said = spec.check_file(path.relative_to(folder).as_posix() + ("/" if is_folder else "")).include
        verdict = verdict if said is None else said
    return verdict
