"""`UserError`: what a person can mend. The command line prints it in one line and exits with a non-zero code."""

from __future__ import annotations


class UserError(Exception):
    """Says what was got, what was expected, and what to do."""
