"""What is in a mirror: the newest state that counts, found by claims, so that a writer that was replaced has no say."""

from __future__ import annotations

from typing import NamedTuple

from pipelines.mirror.records import (
    IDENT,
    NAME,
    NUMBER,
    Claim,
    ForeignMirror,
    Manifest,
    TornMirror,
    claim_of,
    manifest_of,
    unpack,
)
from pipelines.mirror.remote import Remote


class Standing(NamedTuple):
    """How a mirror stands.

    Attributes:
        ident: of the run that it is the mirror of.
        claim: the newest; None: nobody has written yet.
        manifest: the newest that counts; None: nothing is there to go on with.
        passed_over: manifests that are newer and not whole: who wrote them was killed meanwhile.
    """

    ident: str
    claim: Claim | None
    manifest: Manifest | None
    passed_over: tuple[str, ...] = ()


def look(remote: Remote) -> Standing | None:
    """How the mirror of a run stands; None where there is nothing.

    Raises:
        ForeignMirror: something else is there.
        TornMirror: no state is whole.
        OSError: the storage does not answer.
    """
    try:
        about = unpack(remote.read("mirror.json"), "mirror.json")
    except FileNotFoundError:
        if remote.anything():
            raise ForeignMirror("there are files, and no mirror.json among them") from None
        return None
    ident = str(about.get("ident"))
    if not IDENT.fullmatch(ident):
        raise ForeignMirror("mirror.json names no run")
    claim = newest_claim(remote)
    if claim is None:
        return Standing(ident, None, None)
    names = sorted((m[0] for m in map(NAME.match, remote.sizes("manifests")) if m is not None), reverse=True)
    own = [name for name in names if int(name[:9]) == claim.generation]
    # A generation that has written nothing yet stands where it began.
    candidates = [*own, *([claim.goes_on_from] if claim.goes_on_from else [])]
    problems: list[str] = []
    for name in candidates:
        path = f"manifests/{name}.json"
        try:
            return Standing(ident, claim, manifest_of(remote.read(path), path, ident), tuple(problems))
        except (TornMirror, FileNotFoundError) as error:
            problems.append(f"{path} is missing" if isinstance(error, FileNotFoundError) else str(error))
    if problems:
        raise TornMirror("; ".join(problems))
    return Standing(ident, claim, None)


def highest_generation(remote: Remote) -> int:
    """The generation of the newest claim; 0 where there is none.

    Raises:
        OSError: the storage does not answer.
    """
    stems = [name.removesuffix(".json") for name in remote.sizes("claims")]
    return max((int(stem) for stem in stems if NUMBER.fullmatch(stem)), default=0)


def newest_claim(remote: Remote) -> Claim | None:
    """The newest claim that is whole; None where there is none. Who was killed in making one has written no more.

    Raises:
        ForeignMirror: it says what no claim says.
        OSError: the storage does not answer.
    """
    stems = [name.removesuffix(".json") for name in remote.sizes("claims")]
    for stem in sorted((stem for stem in stems if NUMBER.fullmatch(stem)), reverse=True):
        path = f"claims/{stem}.json"
        try:
            claim = claim_of(remote.read(path), path)
        except (TornMirror, FileNotFoundError):
            continue
        if claim.generation != int(stem):
            raise ForeignMirror(f"{path} is a claim of generation {claim.generation}")
        return claim
    return None
