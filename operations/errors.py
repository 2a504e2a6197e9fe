"""The error that the operations raise."""

from __future__ import annotations

from settings.errors import UserError


class OperationsError(UserError):
    """An operation cannot be carried out, or has failed."""
