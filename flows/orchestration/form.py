"""The parameters of a run as a form in Prefect's page: the fields of `RunSettings`, with their limits and words.

What is left out comes from the environment of the process that does the run (`ARCHIVE_COLORIZER_ARCHIVE`, ...), else
from the defaults. The database is not among them: its URL may hold a password, and Prefect keeps parameters as text.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from flows.orchestration.parameters import PATHS, settings_of
from flows.settings import RunSettings

LEFT_OUT = ("database", "dry_run", "prefect")
_AS_TEXT = (*PATHS, "sequence_rate")


def _form_field(name: str, field: FieldInfo) -> Any:
    """A field's type and what is said of it; paths and rates are text, as they are in JSON."""
    if name in _AS_TEXT:
        default = None if name in PATHS else str(field.default)
        return (str | None, Field(default, description=field.description))
    return (field.annotation, field)


_Fields: Any = create_model(
    "_Fields",
    __config__=ConfigDict(extra="forbid"),
    __base__=BaseModel,
    **{name: _form_field(name, field) for name, field in RunSettings.model_fields.items() if name not in LEFT_OUT},
)


class RunForm(_Fields):  # type: ignore[misc]  # made from the fields of another class
    """Everything that decides what a run does. What is left out is as the worker's environment says."""

    def settings(self) -> RunSettings:
        """The settings that the form stands for.

        Raises:
            UsageError: one of them is wrong.
        """
        return settings_of(self.model_dump(exclude_unset=True))
