"""What every section of the settings is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of the settings: camelCase keys, no unknown ones, never changed after reading."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, extra="forbid", frozen=True, allow_inf_nan=False
    )
    title: ClassVar[str]
