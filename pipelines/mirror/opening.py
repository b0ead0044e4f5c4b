"""`storage=URI`: what is checked before a run starts, and the claim with which its mirror begins."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from pipelines.display import Display
from pipelines.errors import UserError
from pipelines.mirror.identity import Own, read_own, write_own
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.mirror.reading import look
from pipelines.mirror.records import Claim, ForeignMirror, TornMirror
from pipelines.mirror.remote import Remote, one_line
from pipelines.mirror.writing import Writer, make_claim
from pipelines.run_directory import RunDirectory


def check_storage(uri: str | None) -> None:
    """See that a run could be kept there.

    Raises:
        UserError: it is no URI, its library is missing, or it cannot be written.
    """
    if uri is not None:
        Remote(uri).probe()


def open_mirror(uri: str | None, directory: RunDirectory) -> Mirror | NoMirror:
    """Claim the mirror of a run, made where there is none.

    Raises:
        UserError: the place holds something else, or a run with which another machine has gone on.
    """
    if uri is None:
        return NoMirror()
    remote, name = Remote(uri), directory.root.name
    place = remote / name
    try:
        standing, own = look(place), read_own(directory)
        if standing is not None and standing.manifest is not None:
            if own is None or own.ident != standing.ident:
                raise UserError(
                    f"{place.uri} is the mirror of another run of this name; expected none, or that of "
                    f"{directory.root}: give another run=NAME or storage="
                )
            if not own.is_newest(standing):
                raise UserError(
                    f"another machine has gone on with this run, and its mirror at {place.uri} is newer than "
                    f"{directory.root}: go on from there with run={name} storage={remote.uri}, which moves this copy "
                    "aside"
                )
        ident, claim = make_claim(place, name, standing, partial(_remember, directory))
    except (ForeignMirror, TornMirror) as error:
        raise UserError(
            f"{place.uri} is no mirror that can be gone on with: {error}; give another storage=, or delete what is "
            "there"
        ) from None
    except OSError as error:
        raise UserError(f"storage={uri} does not answer: {one_line(error)}; mend it, or leave storage= out") from None
    begins = None if standing is None else standing.manifest
    return Mirror(directory, Writer(place, ident, claim, begins), place.uri)


class Mirrored(Protocol):
    """A run that has not begun."""

    directory: RunDirectory
    display: Display


def mirror_or_left(uri: str | None, run: Mirrored) -> Mirror | NoMirror:
    """The mirror of a run that is about to begin; where there can be none, its directory is left as it is.

    Raises:
        UserError: as `open_mirror`.
    """
    try:
        return open_mirror(uri, run.directory)
    except BaseException:
        run.display.close()
        run.directory.unlock()
        raise


def _remember(directory: RunDirectory, ident: str, claim: Claim) -> None:
    write_own(directory, Own(ident, claim.generation, claim.nonce))
