"""The one error of the toolchain that a user reads: what went wrong, why, and the remedy."""

from __future__ import annotations


class ToolchainError(Exception):
    """Its text is the whole message; no traceback belongs to it."""


class Interrupted(Exception):
    """The user (Ctrl-C) or the machine (SIGTERM) asked to end; nothing is wrong."""
