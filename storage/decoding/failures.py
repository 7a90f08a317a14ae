"""What went wrong in the decoder process, as plain data that travels, and as the error it was on this side."""

import os
from collections.abc import Callable
from typing import Any

from storage.decoding.registry import Registry, reference_to
from storage.errors import StorageError, UnreadableImage
from storage.images.records import Refusal

TOO_LITTLE_MEMORY = "needs more memory than there is; run it on a larger machine"
DAMAGED = "is damaged and cannot be decoded; copy it again from its source"

Failure = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]
"""Its kind, what the error is made of, and what the system said that it comes from, if anything."""


class CannotDecode(StorageError):  # noqa: N818 - the name is the finding
    """The decoder itself does not work; no file is to blame. ``error_type`` is ``"decoder"``."""

    def __init__(self, message: str, error_type: str = "decoder") -> None:
        super().__init__(message, error_type)


def failure_of(error: Exception, registry: Registry) -> Failure:
    """An error as plain data."""
    return *_described(error, registry), _system_cause(error)


def error_of(failure: object, name: str, registry: Registry) -> Exception:
    """The error of a failure, ``name`` being the file's for messages; ``ValueError`` if it is no failure.

    Its ``__cause__`` is the ``OSError`` that it came from: a disk that is full or gone is no fault of the file.
    """
    match failure:
        case (str(kind), tuple(content), tuple() | None as cause) if kind in _MAKERS:
            error = _MAKERS[kind](name, registry, *content)
            error.__cause__ = None if cause is None else _system(name, registry, *cause)
            return error
    raise ValueError("not a failure")


def _described(error: Exception, registry: Registry) -> tuple[str, tuple[Any, ...]]:
    if isinstance(error, Refusal):
        return "refusal", (error.detail, error.error_type)
    if isinstance(error, StorageError):
        known = [reference for kind in type(error).__mro__ if (reference := reference_to(kind)) in registry.errors]
        return "storage", (known[0] if known else reference_to(UnreadableImage), error.message, error.error_type)
    if isinstance(error, OSError):
        return "system", _of_system(error)
    if isinstance(error, MemoryError):
        return "memory", ()
    return "other", (f"{type(error).__name__}: {error}"[:1000],)


def _system_cause(error: BaseException) -> tuple[Any, ...] | None:
    cause = error.__cause__
    while cause is not None and not (isinstance(cause, OSError) and cause.errno is not None):
        cause = cause.__cause__
    return None if cause is None else _of_system(cause)


def _of_system(error: OSError) -> tuple[Any, ...]:
    """What an OSError is made of; some have no number, only words."""
    name = error.filename if isinstance(error.filename, str | bytes) else None
    return error.errno, error.strerror or str(error), os.fsdecode(name) if name else None


def _refusal(name: str, _: Registry, detail: str, error_type: str) -> Exception:
    return UnreadableImage(f"{name} {detail}", error_type)


def _storage(_: str, registry: Registry, reference: str, message: str, error_type: str) -> Exception:
    return registry.error(reference)(message, error_type)


def _system(_: str, __: Registry, number: int | None, reason: str, filename: str | None) -> Exception:
    if number is None:
        return OSError(reason)
    return OSError(number, reason, filename) if filename is not None else OSError(number, reason)


def _memory(name: str, _: Registry) -> Exception:
    return UnreadableImage(f"{name} {TOO_LITTLE_MEMORY}", "too_large")


def _other(name: str, _: Registry, __: str) -> Exception:
    return UnreadableImage(f"{name} {DAMAGED}", "unreadable")


def _mistake(_: str, __: Registry, text: str) -> Exception:
    return TypeError(text)


_MAKERS: dict[str, Callable[..., Exception]] = {
    "refusal": _refusal,
    "storage": _storage,
    "system": _system,
    "memory": _memory,
    "other": _other,
    "mistake": _mistake,
}
