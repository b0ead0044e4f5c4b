"""`Remote`: a folder at any fsspec URI, each call with a deadline and each failure in one line.

A path without a scheme is a folder of this machine, or one that is mounted there. What a server needs besides its
address (keys, an endpoint) is where its own library looks for it, in the environment or in its files, and never in the
URI: a run's config can be read by many.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from cluster.deadlines import within
from cluster.manifests.deployment import holds_secret
from cluster.secrecy import redacted
from pipelines.errors import UserError
from pipelines.run_directory import expanded

CALL_S = 60.0  # for a call that moves little
BYTES_PER_S = 100_000  # slower than this, a file counts as stuck
STUCK = 8  # calls that have not come back, each in a thread: no more are made until one does, however often it is tried
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "obs", "r2"}
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}  # what pyproject.toml has an extra for
USER = re.compile(r"//[^/@\s]+@")
Answer = TypeVar("Answer")


class StorageFailed(OSError):
    """The storage did not do what it was asked to: it may next time."""


class Remote:
    """Files below a URI, by paths relative to it."""

    def __init__(self, uri: str) -> None:
        """Find the file system; nothing is asked of it yet.

        Args:
            uri: `/shared/runs`, `s3://bucket/runs`, or any other of fsspec's, chained ones too.

        Raises:
            UserError: it is none, its library is not installed, or it holds a password.
        """
        self.uri = uri.rstrip("/")
        if holds_secret(f"uri={uri}") or USER.search(uri):
            raise UserError(
                f"storage={USER.sub('//…@', uri)} holds a user or a password, and a run's config can be read by many; "
                "give it to the environment, as the library of that storage expects (docs/mirrors.md)"
            )
        if not uri.strip():
            raise UserError("got storage= and no place; expected a folder or a URI, or storage= left out")
        if "://" not in uri and "::" not in uri:
            uri = str(expanded(uri).absolute())
        self._scheme = re.split("://|::", uri)[0]
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(uri)
        except ImportError:
            extra = EXTRAS.get(self._scheme)
            what = f"pip install 'guerdon[{extra}]'" if extra else f"install the library that fsspec wants for {uri}"
            raise UserError(f"storage={uri}: the library for {self._scheme}:// is not installed; {what}") from None
        except Exception as error:  # whatever a file system's own constructor raises
            raise UserError(
                f"storage={uri} is no place that fsspec knows ({one_line(error)}); expected a folder, or a URI such as "
                "s3://bucket/runs"
            ) from None
        self._root = root.rstrip("/")
        self._behind: set[object] = set()  # a mark of each call that is under way, of all folders below
        inner = self._files
        while hasattr(inner, "fs"):
            inner = inner.fs
        protocols = {inner.protocol} if isinstance(inner.protocol, str) else {*inner.protocol}
        self._has_folders = not protocols & OBJECT_STORES
        self._is_local = "file" in protocols

    def __truediv__(self, name: str) -> Remote:
        """A folder below, of the same file system."""
        below = object.__new__(Remote)
        below.__dict__ = {**self.__dict__, "uri": f"{self.uri}/{name}", "_root": f"{self._root}/{name}"}
        return below

    # Reading --------------------------------------------------------------------------------------------------------

    def sizes(self, folder: str) -> dict[str, int]:
        """Size in bytes of each file in a folder, by name; none where there is no such folder.

        Raises:
            StorageFailed: it could not be read.
        """

        def ask() -> dict[str, int]:
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
            return {str(one["name"]).rpartition("/")[2]: int(one["size"]) for one in found if one["type"] == "file"}

        return self._within(CALL_S, f"list {folder}", ask)

    def anything(self) -> bool:
        """Whether there is anything at all below here.

        Raises:
            StorageFailed: it could not be read.
        """

        def ask() -> bool:
            self._files.invalidate_cache()
            try:
                return bool(self._files.ls(self._root or "/", detail=False))
            except FileNotFoundError:
                return False

        return self._within(CALL_S, "list it", ask)

    def size(self, path: str) -> int:
        """Bytes of a file.

        Raises:
            FileNotFoundError: there is none.
            StorageFailed: it could not be read.
        """
        return int(self._within(CALL_S, f"read {path}", lambda: self._files.info(self._at(path))["size"]))

    def read(self, path: str) -> bytes:
        """A small file.

        Raises:
            FileNotFoundError: there is none.
            StorageFailed: it could not be read.
        """
        return self._within(CALL_S, f"read {path}", lambda: bytes(self._files.cat_file(self._at(path))))

    def fetch(self, path: str, to: Path, size: int) -> None:
        """Copy a file of `size` bytes to this machine.

        Raises:
            FileNotFoundError: there is none.
            StorageFailed: it could not be read.
        """
        self._within(_for(size), f"read {path}", lambda: self._files.get_file(self._at(path), str(to)))

    # Writing --------------------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes) -> None:
        """Write a small file, over what was there.

        Raises:
            StorageFailed: it could not be written.
        """
        self._within(CALL_S, f"write {path}", lambda: self._made(path, lambda at: self._files.pipe_file(at, data)))

    def create(self, path: str, data: bytes) -> bool:
        """Write a small file that is not there yet; False where it is, as far as the storage can tell.

        Raises:
            StorageFailed: it could not be written.
        """

        def ask(at: str) -> bool:
            try:
                if self._is_local:  # fsspec looks first and writes then; the system does both at once
                    with self._files.open(at, "xb") as file:
                        file.write(data)
                else:
                    self._files.pipe_file(at, data, mode="create")
            except FileExistsError:
                return False
            return True

        return self._within(CALL_S, f"write {path}", lambda: self._made(path, ask))

    def send(self, source: Path, path: str, size: int) -> None:
        """Copy the first `size` bytes of a file there, and see that they have arrived.

        Raises:
            StorageFailed: they have not.
        """

        def ask(at: str) -> None:
            if source.stat().st_size == size:
                self._files.put_file(str(source), at)
            else:
                with source.open("rb") as file:
                    self._files.pipe_file(at, file.read(size))
            self._files.invalidate_cache()
            got = self._files.info(at)["size"]
            if got != size:
                raise OSError(f"{got} of {size} bytes have arrived")

        self._within(_for(size), f"write {path}", lambda: self._made(path, ask))

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is deleted.

        Raises:
            StorageFailed: it could not be deleted.
        """

        def ask() -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._at(path))

        self._within(CALL_S, f"delete {path}", ask)

    def probe(self) -> None:
        """Write, read and delete a small file, before any work depends on it.

        Raises:
            UserError: one of them failed.
        """
        name, data = f".guerdon-probe-{secrets.token_hex(6)}", secrets.token_bytes(16)
        try:
            self.write(name, data)
            if self.read(name) != data:
                raise StorageFailed("what was read is not what was written")
            self.delete(name)
        except OSError as error:
            raise UserError(
                f"storage={self.uri} cannot be written: {one_line(error)}; expected a place where this machine may "
                "write, read and delete: mend it, or leave storage= out"
            ) from None

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _made(self, path: str, ask: Callable[[str], Answer]) -> Answer:
        """Ask, and make the folder first where there has to be one; buckets are never made."""
        at = self._at(path)
        if not self._has_folders:
            return ask(at)
        try:
            return ask(at)
        except FileNotFoundError:
            self._files.makedirs(at.rpartition("/")[0], exist_ok=True)
            return ask(at)

    def _within(self, seconds: float, what: str, call: Callable[[], Answer]) -> Answer:
        """One call, its failure in one line.

        Raises:
            FileNotFoundError: it was to read a file that is not there.
            StorageFailed: anything else.
        """
        if len(self._behind) >= STUCK:
            raise StorageFailed(f"{what}: {STUCK} calls before it have not come back")
        mark = object()

        def counted() -> Answer:
            try:
                return call()
            finally:
                self._behind.discard(mark)

        self._behind.add(mark)
        try:
            return within(seconds, counted)
        except FileNotFoundError as error:
            if what.startswith("read"):
                raise
            raise StorageFailed(f"{what}: {one_line(error)}") from None
        except Exception as error:  # whatever a file system raises
            raise StorageFailed(f"{what}: {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """What an error says, short, on one line, without a user or a password in an address."""
    return redacted(" ".join(str(error).split()))[:200] or type(error).__name__


def _for(size: int) -> float:
    return CALL_S + size / BYTES_PER_S
