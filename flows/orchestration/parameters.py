"""A run's settings as parameters of its flow, which Prefect keeps in plain text, and back."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from flows.errors import UsageError
from flows.settings import RunSettings, run_settings
from storage.paths import path_to_text, text_to_path

PATHS = (
    "archive",
    "references",
    "output",
    "vgg_weights",
    "reference",
    "pins",
    "only_references",
    "never_references",
    "metrics",
)


def parameters_of(settings: RunSettings) -> dict[str, Any]:
    """The settings as JSON. Paths in their text form, since names need not be UTF-8.

    Without the database, whose URL may hold a password; a scheduled run has it from the environment.
    """
    values = settings.model_dump(exclude={"database", "dry_run", "prefect"})
    return {name: _plain(value) for name, value in values.items()}


def settings_of(parameters: Mapping[str, Any]) -> RunSettings:
    """The settings that parameters stand for; what is missing comes from the environment.

    Raises:
        UsageError: one of them is wrong.
    """
    try:
        paths = {name: text_to_path(parameters[name]) for name in PATHS if parameters.get(name) is not None}
    except ValueError as error:
        raise UsageError(str(error)) from error
    return run_settings({**parameters, **paths})


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return path_to_text(value)
    if isinstance(value, tuple):
        return [*value]
    return str(value) if isinstance(value, Fraction) else value
