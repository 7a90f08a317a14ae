"""What may be asked of the decoder process, and what may travel to and from it."""

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Registry:
    """Names of what is allowed, each as ``module:name``; a module is imported when it is first needed.

    ``functions`` maps what callers say to functions, ``records`` are frozen dataclasses that arguments and results
    consist of, ``errors`` subclasses of ``StorageError`` made of a message and a slug. ``preload`` are modules that
    the process imports before its first call.
    """

    functions: Mapping[str, str]
    records: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()
    preload: tuple[str, ...] = ()

    def function(self, name: str) -> Callable[..., object]:
        """The function of that name; ``KeyError`` if there is none."""
        found = _resolve(self.functions[name])
        if not callable(found):
            raise TypeError(f"{self.functions[name]} is no function")
        return found

    def record(self, reference: str) -> type[Any]:
        """The dataclass of that name; ``ValueError`` if it is none of the records."""
        if reference not in self.records:
            raise ValueError(f"not a record that may travel: {reference!r:.100}")
        found = _resolve(reference)
        if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
            raise TypeError(f"{reference} is no dataclass")
        return found

    def error(self, reference: str) -> type[Exception]:
        """The class of error of that name; ``ValueError`` if it is none of the errors."""
        if reference not in self.errors:
            raise ValueError(f"not an error that may travel: {reference!r:.100}")
        found = _resolve(reference)
        if not (isinstance(found, type) and issubclass(found, Exception)):
            raise TypeError(f"{reference} is no error")
        return found

    def to_json(self) -> str:
        """As text for the command line of the process."""
        fields = {name: sorted(getattr(self, name)) for name in ("records", "errors")}
        return json.dumps({"functions": dict(self.functions), **fields, "preload": self.preload})

    @classmethod
    def from_json(cls, text: str) -> "Registry":
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        return cls(
            fields["functions"], frozenset(fields["records"]), frozenset(fields["errors"]), tuple(fields["preload"])
        )


def reference_to(kind: type[Any]) -> str:
    """A class as ``module:name``."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _resolve(reference: str) -> object:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


MASTERS = Registry(
    functions={
        "read_master": "storage.masters:read_master",
        "identify_pages": "storage.masters:identify_pages",
        "write_document": "storage.masters:write_document",
    },
    records=frozenset(
        {
            "storage.images.encoding:Encoding",
            "storage.images.records:DerivativeProvenance",
            "storage.images.records:ImageFacts",
            "storage.images.records:Master",
            "storage.images.records:MasterMetadata",
            "storage.masters:DocumentCopy",
        }
    ),
    errors=frozenset({"storage.errors:StorageError", "storage.errors:UnreadableImage"}),
    preload=("storage.masters",),
)
"""What masters are read with."""
