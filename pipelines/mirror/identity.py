"""`Own`: which generation of which mirror the run directory on this machine is, in its `storage.json`."""

from __future__ import annotations

import json
from typing import NamedTuple

from pipelines.errors import UserError
from pipelines.mirror.reading import Standing
from pipelines.run_directory import RunDirectory

FILE = "storage.json"


class Own(NamedTuple):
    """What a copy on this machine knows of itself.

    Attributes:
        ident: of its mirror.
        generation: that it has claimed, or that it was fetched from.
        nonce: of that claim.
        manifest: that it was fetched from; empty: it has claimed, and is what the mirror is made from.
    """

    ident: str
    generation: int
    nonce: str
    manifest: str = ""

    def is_newest(self, standing: Standing) -> bool:
        """Whether nobody has gone on with the run since: another machine, or the one it was fetched from."""
        if standing.claim is None or standing.claim.generation < self.generation:
            return True
        if (standing.claim.generation, standing.claim.nonce) != (self.generation, self.nonce):
            return False
        return not self.manifest or (standing.manifest is not None and standing.manifest.path == self.manifest)


def read_own(directory: RunDirectory) -> Own | None:
    """What a copy knows of itself; None: it has no mirror.

    Raises:
        UserError: the file is not what was written.
    """
    path = directory.root / FILE
    try:
        found = json.loads(path.read_text())
        whose = str(found["ident"]), int(found["generation"]), str(found["nonce"])
        return Own(*whose, str(found.get("manifest", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it, and name a storage= that is empty") from None


def write_own(directory: RunDirectory, own: Own) -> None:
    """Write it down, at once or not at all."""
    directory.write_json(directory.root / FILE, own._asdict())
