"""What inputs and the engine write differently in every resource: labels, durations, what is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.plugins.docker import durations


def pairs(labels: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Label inputs, [{label, value}], as a map."""
    return {entry["label"]: entry["value"] for entry in labels or []}


def label_inputs(labels: Mapping[str, str] | None) -> list[dict[str, str]]:
    """A map of labels as inputs."""
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]


def rendered(nanoseconds: int | None) -> str | None:
    """A duration as text; an absent one stays absent."""
    return None if nanoseconds is None else durations.render(nanoseconds)


def nanoseconds(text: str | None) -> int:
    """A duration that is not said is none."""
    return durations.parse(text) if text else 0


def present(**fields: Any) -> dict[str, Any]:
    """The fields that say something: for the engine, empty, zero and false are what an absent one is."""
    return {name: value for name, value in fields.items() if value}
