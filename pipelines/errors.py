"""Errors that are told to a person: `UserError`, what they can mend, and `Unfinished`, what is to be started again."""

from __future__ import annotations


class UserError(Exception):
    """Says what was got, what was expected, and what to do. The command line prints it, with exit code 2."""


class Unfinished(Exception):
    """A run was saved and ended before its end, and nobody asked it to: whoever started it is to start it again.

    The command line prints it, with exit code 75 (sysexits: try again), by which a RayJob is submitted again.
    """
