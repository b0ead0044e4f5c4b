"""What a mirror says of itself, in JSON: who may write it (`Claim`), and what a run was at one instant (`Manifest`).

```
STORAGE/RUN/
  mirror.json                          of which run this is the mirror
  claims/000000002.json                generation 2 began here, and goes on from a manifest of generation 1
  manifests/000000002-000000017.json   its 17th: each file of the run, by path, size and SHA-256
  objects/000000002/SHA-256            what it has written; files that are the same are there once
```

Everything here is read as if an enemy had written it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
DIGEST = re.compile(r"[0-9a-f]{64}")
IDENT = re.compile(r"[0-9a-f]{32}")
NUMBER = re.compile(r"\d{9}")
NAME = re.compile(r"(\d{9})-(\d{9})")
# Of a path: anything that stays where it is. Rubrics and models keep the names that their users gave them.
PART = re.compile(r"[^./\\~\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,200}")
NOT_MIRRORED = ("storage.json",)  # what belongs to one machine's copy


class TornMirror(Exception):
    """Something is missing or is not what was written."""


class ForeignMirror(Exception):
    """Something else is there: another run, another format, or no mirror at all."""


def is_plain(path: str) -> bool:
    """Whether a path stays within its run: relative, of plain names."""
    return (
        len(path) <= 1000
        and all(PART.fullmatch(part) for part in path.split("/"))
        and path.split("/")[0] not in NOT_MIRRORED
    )


@dataclass(frozen=True)
class Kept:
    """One file of a run.

    Attributes:
        sha256: of the bytes that are kept.
        stored: how many that are.
        size: of the file: what is behind the bytes that are kept is zeros.
        generation: whose object it is.
    """

    sha256: str
    stored: int
    size: int
    generation: int

    @property
    def path(self) -> str:
        """Of its object."""
        return f"objects/{self.generation:09d}/{self.sha256}"


@dataclass(frozen=True)
class Claim:
    """From here on, who made this writes, and nobody who came before.

    Attributes:
        generation: one more than the highest before.
        nonce: known to who made it.
        goes_on_from: name of the manifest that it began with; "" where there was none.
    """

    generation: int
    nonce: str
    goes_on_from: str = ""

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"claims/{self.generation:09d}.json"


@dataclass(frozen=True)
class Manifest:
    """A run at one instant.

    Attributes:
        ident: of the mirror.
        generation: of who wrote it.
        sequence: grows with each one of that generation.
        time: when the run was so, seconds since 1970.
        files: by path.
    """

    ident: str
    generation: int
    sequence: int
    time: float
    files: Mapping[str, Kept]

    @property
    def name(self) -> str:
        """Sorts by age."""
        return f"{self.generation:09d}-{self.sequence:09d}"

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"manifests/{self.name}.json"


def pack(record: Claim | Manifest | Mapping[str, Any]) -> bytes:
    """A record as JSON, with the SHA-256 of the rest before it."""
    plain = dict(record) if isinstance(record, Mapping) else asdict(record)
    if isinstance(record, Manifest):  # asdict leaves a Mapping's values as they are where it is no dict
        plain["files"] = {path: asdict(kept) for path, kept in record.files.items()}
    body = {"format": FORMAT, **plain}
    return json.dumps({"sha256": _digest(body), **body}, indent=1).encode()


def unpack(data: bytes, what: str) -> dict[str, Any]:
    """The JSON that `pack` made.

    Raises:
        TornMirror: a byte is not what was written.
        ForeignMirror: it has another format.
    """
    try:
        found = json.loads(data)
        digest = found.pop("sha256")
    except (ValueError, KeyError, AttributeError):
        raise TornMirror(f"{what} is cut short, or no record of a mirror") from None
    if _digest(found) != digest:
        raise TornMirror(f"{what} is not what was written (SHA-256 differs)")
    if found.pop("format", None) != FORMAT:
        raise ForeignMirror(f"{what} has another format than {FORMAT}; use the release that wrote it")
    return dict(found)


def manifest_of(data: bytes, what: str, ident: str) -> Manifest:
    """A manifest, each path and number in it seen to be sound.

    Raises:
        TornMirror: it is not what was written.
        ForeignMirror: it is of another run, or says what no manifest says.
    """
    found = unpack(data, what)
    try:
        files = {str(path): Kept(**kept) for path, kept in found.pop("files").items()}
        manifest = Manifest(**found, files=files)
    except (TypeError, AttributeError, KeyError):
        raise ForeignMirror(f"{what} is no manifest") from None
    if manifest.ident != ident:
        raise ForeignMirror(f"{what} is of another run")
    for path, kept in files.items():
        if not is_plain(path):
            raise ForeignMirror(f"{what} names {path!r}, which is no file of a run")
        whole = all(type(n) is int and n >= 0 for n in (kept.stored, kept.size, kept.generation))
        if not whole or not DIGEST.fullmatch(str(kept.sha256)) or kept.size < kept.stored:
            raise ForeignMirror(f"{what}: what it says of {path} is no file")
    return manifest


def claim_of(data: bytes, what: str) -> Claim:
    """A claim.

    Raises:
        TornMirror: it is not what was written.
        ForeignMirror: it says what no claim says.
    """
    found = unpack(data, what)
    try:
        claim = Claim(**found)
    except TypeError:
        raise ForeignMirror(f"{what} is no claim") from None
    begins = str(claim.goes_on_from)
    if type(claim.generation) is not int or not IDENT.fullmatch(str(claim.nonce)):
        raise ForeignMirror(f"{what} is no claim")
    if begins and not NAME.fullmatch(begins):
        raise ForeignMirror(f"{what} goes on from {begins!r}, which is no manifest")
    return claim


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
