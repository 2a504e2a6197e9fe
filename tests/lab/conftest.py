"""Whose plugins the whole job runs with."""

from __future__ import annotations

from lab.toolchain import plugins


def pytest_report_header() -> str:
    """In `pytest`'s header."""
    return f"Pulumi's plugins: {plugins.told()}"
