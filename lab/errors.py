"""The one error of the lab that a user reads: what went wrong, why, and the remedy."""

from __future__ import annotations

from lab.toolchain.errors import ToolchainError


class LabError(ToolchainError):
    """Its text is the whole message; no traceback belongs to it."""
