"""Why a store is not opened; in each case it is left as it is."""

from __future__ import annotations


class StoreCorrupt(ValueError):
    """What lies on disk is not what was written there; the message names file and place."""


class StoreForeign(ValueError):
    """The directory is no store, is one of a newer version, or holds rows of another schema."""


class StoreBusy(RuntimeError):
    """Another process, or another `Store` of this one, writes to the directory."""
