"""Manifests and collections hold against IIIF Presentation 3.0 as the library iiif-prezi3 has it."""

import json
from typing import Any

import iiif_prezi3
import pytest

from storage.exports.iiif import Entry, JsonObject, Leaf, Picture, Statement, Work, collection, manifest

BASE = "https://example.org/colorized"
STATEMENT = Statement("Coloured by machine", "The colours were added by a machine.")


def leaf(name: str = "1", **changes: Any) -> Leaf:
    values: dict[str, Any] = {
        "name": name,
        "label": "Tässchen.jpg",
        "width": 6000,
        "height": 4000,
        "scan": Picture(f"images/a b/{name}/scan.jpg", 3000, 2000),
        "colour": Picture(f"images/a b/{name}/colour.jpg", 3000, 2000),
        "thumbnail": Picture(f"images/a b/{name}/thumbnail.jpg", 400, 267),
        "facts": [("Reference", "meadow.jpg")],
        "statement": STATEMENT,
    }
    return Leaf(**(values | changes))


def work(*leaves: Leaf, **changes: Any) -> Work:
    values: dict[str, Any] = {
        "name": "cup-0123",
        "label": "Tässchen.jpg",
        "leaves": leaves or (leaf(),),
        "summary": "A cup",
        "facts": [("Path in the archive", "album/Tässchen.jpg"), ("Creator", "A photographer")],
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "statement": STATEMENT,
    }
    return Work(**(values | changes))


def read_again(model: type[Any], content: JsonObject) -> JsonObject:
    """What the library makes of the JSON, as JSON again."""
    found: JsonObject = json.loads(model.model_validate_json(json.dumps(content)).json(exclude_unset=True))
    return found


@pytest.mark.parametrize(
    "one",
    [
        work(),
        work(leaf("1"), leaf("2", colour=None, facts=(), statement=None)),
        work(summary=None, facts=(), rights=None, statement=None),
    ],
)
def test_the_library_reads_the_same_manifest(one: Work) -> None:
    content = manifest(BASE, one)
    assert read_again(iiif_prezi3.Manifest, content) == content


def test_the_library_reads_the_same_collection() -> None:
    entries = [
        Entry("Manifest", "manifests/cup-0123.json", "Tässchen.jpg", Picture("images/1/thumbnail.jpg", 400, 267)),
        Entry("Collection", "collections/album.json", "album"),
    ]
    content = collection(BASE, "collection.json", "Glass plates", entries)
    assert content["id"] == f"{BASE}/collection.json"
    assert read_again(iiif_prezi3.Collection, content) == content


def test_what_is_no_manifest_is_refused_by_the_library() -> None:
    """Lest the tests above could not fail."""
    content = manifest(BASE, work())
    del content["items"][0]["items"][0]["items"][0]["target"]
    with pytest.raises(ValueError, match="target"):
        read_again(iiif_prezi3.Manifest, content)


def test_a_canvas_offers_the_scan_first_and_the_colours_second() -> None:
    (canvas,) = manifest(BASE, work())["items"]
    assert (canvas["width"], canvas["height"]) == (6000, 4000)
    annotation = canvas["items"][0]["items"][0]
    assert (annotation["motivation"], annotation["target"]) == ("painting", canvas["id"])
    scan, colour = annotation["body"]["items"]
    assert annotation["body"]["type"] == "Choice"
    assert scan["id"] == f"{BASE}/images/a%20b/1/scan.jpg"
    assert scan["label"] == {"en": ["Scan"]}
    assert colour["id"] == f"{BASE}/images/a%20b/1/colour.jpg"
    assert colour["label"] == {"en": ["Coloured by machine"]}
    assert {"type": "Image", "format": "image/jpeg", "width": 3000, "height": 2000}.items() <= colour.items()
    assert canvas["requiredStatement"]["value"] == {"en": ["The colours were added by a machine."]}


def test_a_canvas_without_colours_has_the_scan_alone() -> None:
    (canvas,) = manifest(BASE, work(leaf(colour=None, statement=None)))["items"]
    body = canvas["items"][0]["items"][0]["body"]
    assert body["type"] == "Image"
    assert "requiredStatement" not in canvas


def test_every_identifier_is_one_thing_s_alone() -> None:
    content = manifest(BASE, work(leaf("1"), leaf("2")))
    ids = [content["id"]]
    for canvas in content["items"]:
        page = canvas["items"][0]
        annotation = page["items"][0]
        ids += [canvas["id"], page["id"], annotation["id"], *(one["id"] for one in annotation["body"]["items"])]
    assert len(ids) == len(set(ids)) == 11
    assert all(id_.startswith(f"{BASE}/") for id_ in ids)


def test_text_is_not_taken_for_html() -> None:
    content = manifest(BASE, work(label="<b>plate</b>", summary="a < b"))
    assert content["label"] == {"none": ["<span>&lt;b&gt;plate&lt;/b&gt;</span>"]}
    assert content["summary"] == {"none": ["a < b"]}
