"""`Writer`: one generation of a mirror: sends what is not there yet, and writes the manifest last.

Whoever begins makes a claim with the next number, and from then on the claims before it count no more: their writers
see it before each manifest and stop (`Fenced`), and what one of them writes all the same is not read, because a
reader takes the manifests of the newest claim alone. Objects lie by generation, so that nobody deletes what somebody
newer has sent.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from envs.storage.files import content_end, open_file
from pipelines.mirror.reading import Standing, highest_generation
from pipelines.mirror.records import Claim, Kept, Manifest, claim_of, is_plain, pack
from pipelines.mirror.remote import Remote, StorageFailed

KEPT = 3  # manifests whose objects are kept: a reader may be at an older one
CLAIMS = 20  # tries to be the next


class Fenced(Exception):
    """Another process goes on with this run, and its claim is newer."""


class Writer:
    """Writes one generation. Not thread-safe."""

    def __init__(
        self, remote: Remote, ident: str, claim: Claim, begins: Manifest | None, clock: Callable[[], float] = time.time
    ) -> None:
        """Go on from what a mirror holds.

        Args:
            remote: the folder of the run.
            ident: of the mirror.
            claim: made with `make_claim`.
            begins: the manifest that the claim goes on from.
            clock: seconds since 1970.
        """
        self._remote, self._ident, self._claim, self._clock = remote, ident, claim, clock
        self._sequence = 0
        self._kept = [] if begins is None else [begins]  # manifests, oldest first
        self._known = {} if begins is None else {kept.sha256: kept for kept in begins.files.values()}
        self._hashed: dict[tuple[int, int, int, int], str] = {}  # of files that do not change, by what they are
        self.sent_bytes = self.sent_files = 0

    def publish(self, snapshot: Path, taken: float) -> Manifest:
        """Make the mirror what a folder is; where it fails, it is what it was, and what was sent is not sent again.

        Args:
            snapshot: that nobody writes to.
            taken: when, seconds since 1970.

        Raises:
            Fenced: a newer claim is there.
            OSError: the storage or the disk failed, or the storage holds this claim no more.
        """
        self._require_newest()
        if self._sequence == 0:
            self._see_what_is_there()
        files: dict[str, Kept] = {}
        for path in _files(snapshot):
            name = path.relative_to(snapshot).as_posix()
            if is_plain(name):
                files[name] = self._keep(path)
        self._require_newest()
        self._sequence += 1
        manifest = Manifest(self._ident, self._claim.generation, self._sequence, taken, files)
        self._remote.write(manifest.path, pack(manifest))
        self._kept.append(manifest)
        self._sweep()
        return manifest

    def _require_newest(self) -> None:
        newest = highest_generation(self._remote)
        if newest > self._claim.generation:
            raise Fenced(f"generation {newest} of its mirror has begun, this is {self._claim.generation}")
        if newest < self._claim.generation:
            # An empty folder where a disk was mounted: what was sent before is not there, and a manifest would name it.
            raise StorageFailed(
                f"{self._claim.path} is there no more; was the storage unmounted, or the mirror deleted? Bring it back"
            )

    def _keep(self, path: Path) -> Kept:
        """Send a file unless its bytes are there."""
        about = path.stat()
        same = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        digest, stored = self._hashed.get(same), _stored(path, about)
        if digest is None:
            digest = self._hashed[same] = _sha256(path, stored)
        known = self._known.get(digest)
        if known is None:
            known = Kept(digest, stored, about.st_size, self._claim.generation)
            self._remote.send(path, known.path, stored)
            self._known[digest] = known
            self.sent_bytes, self.sent_files = self.sent_bytes + stored, self.sent_files + 1
        return Kept(digest, stored, about.st_size, known.generation)

    def _sweep(self) -> None:
        """Delete older manifests than the newest few, and the objects that none of those needs.

        What cannot be deleted now is deleted next time: the manifest is written, and that is what counts.
        """
        gone, self._kept = self._kept[:-KEPT], self._kept[-KEPT:]
        needed = {kept.path: kept for manifest in self._kept for kept in manifest.files.values()}
        unneeded = {kept.path for manifest in gone for kept in manifest.files.values()} - needed.keys()
        try:
            for manifest in gone:
                self._remote.delete(manifest.path)
            for path in sorted(unneeded):
                self._remote.delete(path)
        except OSError:
            self._kept = gone + self._kept
        self._known = {kept.sha256: kept for kept in needed.values()}
        if len(self._hashed) > 10 * len(needed) + 1000:
            self._hashed.clear()

    def _see_what_is_there(self) -> None:
        """Rely on no object that is not there whole; delete those that earlier generations sent and never named."""
        named = {kept.path: kept for kept in self._known.values()}
        begins = {manifest.generation for manifest in self._kept}
        for generation in sorted({kept.generation for kept in named.values()} | begins | {self._claim.generation - 1}):
            folder = f"objects/{generation:09d}"
            for name, size in self._remote.sizes(folder).items():
                kept = named.get(f"{folder}/{name}")
                if kept is None:
                    self._remote.delete(f"{folder}/{name}")
                elif kept.stored == size:
                    named.pop(kept.path)
        for lost in named.values():
            self._known.pop(lost.sha256, None)


def make_claim(
    remote: Remote, run: str, standing: Standing | None, remember: Callable[[str, Claim], None]
) -> tuple[str, Claim]:
    """Be the writer of a mirror from now on; gives its identity and the claim.

    Args:
        remote: the folder of the run.
        run: its name.
        standing: of the mirror, as it was seen; None: there is none yet.
        remember: told both before the claim is made, so that who dies in between knows its own claim again.

    Raises:
        OSError: the storage failed, or others were always faster.
    """
    ident = secrets.token_hex(16) if standing is None else standing.ident
    if standing is None and not remote.create("mirror.json", pack({"ident": ident, "run": run})):
        raise StorageFailed("another process has begun a mirror of this name at this moment")
    begins = "" if standing is None or standing.manifest is None else standing.manifest.name
    generation = highest_generation(remote)
    for _ in range(CLAIMS):
        generation += 1
        claim = Claim(generation, secrets.token_hex(16), begins)
        remember(ident, claim)
        if not remote.create(claim.path, pack(claim)):
            continue
        # Not every storage can create a file only where there is none: whose claim it is, is what it says.
        if claim_of(remote.read(claim.path), claim.path).nonce == claim.nonce:
            return ident, claim
    raise StorageFailed(f"{CLAIMS} others were faster; is a run of this name started again and again?")


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, in order; links are not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _stored(path: Path, about: os.stat_result) -> int:
    """Bytes up to the hole at the end of a file, where there is one."""
    if not stat.S_ISREG(about.st_mode) or about.st_blocks * 512 >= about.st_size:
        return about.st_size
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return content_end(descriptor, 0)
    finally:
        os.close(descriptor)


def _sha256(path: Path, stored: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while stored > 0 and (chunk := file.read(min(2**20, stored))):
            digest.update(chunk)
            stored -= len(chunk)
    return digest.hexdigest()
