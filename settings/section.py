"""What every section of the settings is, and how its faults are told."""

from __future__ import annotations

import functools
import typing
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails


class Section(BaseModel):
    """A part of the settings: camelCase keys, no unknown ones, never changed after reading."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, extra="forbid", frozen=True, allow_inf_nan=False
    )
    title: ClassVar[str]


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field of this type is, also where it may be left out; None for any other field."""
    kinds = typing.get_args(annotation) or (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def in_words(fault: ErrorDetails) -> str:
    """A fault of one value, with its remedy."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    reason = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{fault['input']!r} is refused: {reason}. Remedy: correct the value"


def refusals(section: type[Section], field: str, value: Any) -> list[str]:
    """Why a field can't have a value, each reason with its remedy; none where it can."""
    try:
        _field(section, field).validate_python(value)
    except ValidationError as error:
        return [in_words(fault) for fault in error.errors(include_url=False)]
    return []


@functools.cache
def _field(section: type[Section], name: str) -> TypeAdapter[Any]:
    field = section.model_fields[name]
    kind: Any = field.annotation
    for limit in field.metadata:
        kind = Annotated[kind, limit]
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
