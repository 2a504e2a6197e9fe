"""The one error of the operations that a user reads: what went wrong, why, and the remedy."""

from __future__ import annotations


class OperationsError(Exception):
    """Its text is the whole message; no traceback belongs to it."""
