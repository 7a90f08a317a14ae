"""IIIF Presentation API 3.0: manifests and collections as plain JSON objects, below an address where they will lie.

A picture that was coloured is offered as a `Choice` (section 7.1), the untouched scan first, so that this is what a
viewer shows unless the other is asked for. Words of ours are English, what comes from an archive has no language.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
_JPEG = "image/jpeg"

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG at `path` below the address, in pixels."""

    path: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What must be shown with a picture (`requiredStatement`)."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One photograph or page: a canvas of `width` by `height`, the pixels of the scan.

    `name` tells it from the others of its manifest. `facts` are labels and values.
    """

    name: str
    label: str
    width: int
    height: int
    scan: Picture
    colour: Picture | None
    thumbnail: Picture
    facts: Sequence[tuple[str, str]] = ()
    statement: Statement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A photograph or a document: a manifest. `rights` is the address of a licence or rights statement."""

    name: str
    label: str
    leaves: Sequence[Leaf]
    summary: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    rights: str | None = None
    statement: Statement | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a collection says of a manifest or collection in it: where it lies, `path` below the address."""

    kind: str
    path: str
    label: str
    thumbnail: Picture | None = None


def manifest_path(name: str) -> str:
    """Where the manifest of a work lies below the address."""
    return f"manifests/{name}.json"


def manifest(base_url: str, work: Work) -> JsonObject:
    """A manifest (section 5.2). `base_url` has no slash at its end."""
    found: JsonObject = {
        "@context": CONTEXT,
        "id": _address(base_url, manifest_path(work.name)),
        "type": "Manifest",
        "label": _own(work.label),
    }
    if work.summary:
        found["summary"] = _own(work.summary)
    found |= _described(work.facts, work.statement)
    if work.rights:
        found["rights"] = work.rights
    if work.leaves:
        found["thumbnail"] = [_image(base_url, work.leaves[0].thumbnail)]
    root = _address(base_url, f"manifests/{work.name}")
    return found | {"items": [_canvas(base_url, root, leaf) for leaf in work.leaves]}


def collection(base_url: str, path: str, label: str, entries: Iterable[Entry]) -> JsonObject:
    """A collection (section 5.1) that lies at `path` below the address."""
    return {
        "@context": CONTEXT,
        "id": _address(base_url, path),
        "type": "Collection",
        "label": _own(label),
        "items": [_entry(base_url, entry) for entry in entries],
    }


def _canvas(base_url: str, root: str, leaf: Leaf) -> JsonObject:
    id_ = f"{root}/canvas/{leaf.name}"
    scan = _image(base_url, leaf.scan) | {"label": _english("Scan")}
    body = scan
    if leaf.colour is not None:
        colour = _image(base_url, leaf.colour) | {"label": _english("Coloured by machine")}
        body = {"type": "Choice", "items": [scan, colour]}
    annotation = {
        "id": f"{root}/annotation/{leaf.name}",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": id_,
    }
    return {
        "id": id_,
        "type": "Canvas",
        "label": _own(leaf.label),
        "width": leaf.width,
        "height": leaf.height,
        "thumbnail": [_image(base_url, leaf.thumbnail)],
        **_described(leaf.facts, leaf.statement),
        "items": [{"id": f"{root}/page/{leaf.name}", "type": "AnnotationPage", "items": [annotation]}],
    }


def _entry(base_url: str, entry: Entry) -> JsonObject:
    found = {"id": _address(base_url, entry.path), "type": entry.kind, "label": _own(entry.label)}
    return found if entry.thumbnail is None else found | {"thumbnail": [_image(base_url, entry.thumbnail)]}


def _image(base_url: str, picture: Picture) -> JsonObject:
    return {
        "id": _address(base_url, picture.path),
        "type": "Image",
        "format": _JPEG,
        "width": picture.width,
        "height": picture.height,
    }


def _described(facts: Sequence[tuple[str, str]], statement: Statement | None) -> JsonObject:
    found: JsonObject = {}
    if facts:
        found["metadata"] = [{"label": _english(label), "value": _own(value)} for label, value in facts]
    if statement is not None:
        found["requiredStatement"] = {"label": _english(statement.label), "value": _english(statement.value)}
    return found


def _address(base_url: str, path: str) -> str:
    return f"{base_url}/{quote(path)}"


def _english(text: str) -> dict[str, list[str]]:
    return {"en": [_plain(text)]}


def _own(text: str) -> dict[str, list[str]]:
    return {"none": [_plain(text)]}


def _plain(text: str) -> str:
    """Text that a viewer does not take for HTML, which is what stands between < and > (section 4, HTML markup)."""
    stripped = text.strip()
    return f"<span>{html.escape(text)}</span>" if stripped.startswith("<") and stripped.endswith(">") else text
