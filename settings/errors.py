"""The base of every error that a user reads. Whatever else is raised is a bug, and shows its traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something a user can put right. Its text is the whole message: what happened, why, and the remedy."""
