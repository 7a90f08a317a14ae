"""Content Credentials (C2PA 2.x): signed copies of files that say inside how they were made.

The manifest opens the source (`c2pa.opened`, the ingredient `parentOf`) and edits it (`c2pa.edited`) with the colours
of references (ingredients `inputTo`). Ingredients are named by title and `sha256:` digest; a file with a manifest of
its own that can be read gives this along, whether it holds or not. Nothing is fetched from a network but time stamps,
where they are asked for.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from storage.errors import StorageError
from storage.exports.media_types import media_type_of
from storage.exports.signing_key import SigningKey
from storage.images import identify_pages
from storage.paths import path_to_text

if TYPE_CHECKING:  # an optional dependency
    from c2pa import Builder

_PIECE_BYTES = 1 << 20
_MANIFEST_STORE = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
"""The type of the box that holds manifests, which a file with Content Credentials has in it as it is (C2PA, 11.1)."""

_READING = {"verify": {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False}}
_SETTINGS = {**_READING, "builder": {"thumbnail": {"enabled": False}}}


class CannotSign(StorageError):  # noqa: N818 - the finding, as with UnreadableImage
    """A file cannot be signed: its format has no place for it, or the library refuses it."""

    def __init__(self, message: str, error_type: str = "not_signed") -> None:
        super().__init__(message, error_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A file that went into another: `parentOf`, what it is a version of, or `inputTo`, what was only made use of.

    `file` is where it lies; without it, or where it is not what it was, only name and digest are told.
    """

    relationship: Literal["parentOf", "inputTo"]
    title: str
    sha256: str | None
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a file was made: by which program, when (its time zone known), from what, with which parameters (as JSON has
    them)."""

    software: str
    version: str
    when: datetime
    description: str
    digital_source_type: str
    ingredients: Sequence[Ingredient]
    parameters: Mapping[str, Any] = field(default_factory=dict)


class C2paSigner:
    """Signs with one key; `generator` and `version` are the program that signs.

    Raises (when it is made):
        ImportError: the package c2pa-python is not installed.
        CannotSign: the library does not take the key and its certificates, or there is no time stamp to be had.
    """

    def __init__(self, key: SigningKey, generator: str, version: str, timestamp_url: str | None = None) -> None:
        from c2pa import C2paError, C2paSignerInfo, Context, Signer

        self._generator = {"name": generator, "version": version}
        self._context = Context.from_dict(_SETTINGS)
        try:
            info = C2paSignerInfo(key.algorithm, key.chain, key.private_key, timestamp_url)
            self._signer = Signer.from_info(info)
            self._try_out()
        except C2paError as error:
            raise CannotSign(f"nothing can be signed with this key and certificate: {_words(error)}") from error

    def sign(self, source: Path, target: Path, title: str, making: Making) -> str:
        """Write a signed copy of `source` into the file `target` and read it back; returns its SHA-256.

        Raises:
            CannotSign: this format cannot be signed, or what was written does not hold.
            UnreadableImage: it is damaged.
            OSError: the file cannot be read or the copy not be written.
        """
        from c2pa import Builder, C2paError

        media_type = media_type_of(source)
        if media_type is None or media_type not in Builder.get_supported_mime_types():
            what = media_type or "an unknown format"
            raise CannotSign(f"{title}: C2PA has no place for a signature in {what}; sign a copy in another format")
        if media_type == "image/tiff" and len(identify_pages(source)) > 1:
            # C2PA wants a directory of its own after the last page, which readers take for a damaged page
            raise CannotSign(
                f"{title}: a TIFF of several pages could not be read any more when signed; sign a PDF copy"
            )
        try:
            with source.open("rb") as original, target.open("w+b") as copy:
                builder = self._builder(_definition(self._generator, title, media_type, making), making)
                with builder:
                    builder.sign(self._signer, media_type, original, copy)
        except C2paError as error:
            raise CannotSign(f"{title}: cannot be signed: {_words(error)}") from error
        found = check_copy(target)
        if found:
            raise CannotSign(f"{title}: the signed copy does not hold: {', '.join(found)}")
        with target.open("rb") as copy:
            return hashlib.file_digest(copy, "sha256").hexdigest()

    def _builder(self, definition: dict[str, Any], making: Making) -> "Builder":
        from c2pa import Builder, C2paError

        plain: list[dict[str, str]] = []
        own: list[tuple[dict[str, str], Ingredient]] = []
        for number, ingredient in enumerate(making.ingredients):
            told: dict[str, str] = {
                "title": ingredient.title,
                "relationship": ingredient.relationship,
                "label": _label(number),
            }
            if ingredient.sha256 is not None:
                told["instance_id"] = f"sha256:{ingredient.sha256}"
            media_type = media_type_of(ingredient.file) if ingredient.file is not None else None
            if media_type is not None:
                told["format"] = media_type
            if _carries_manifest(ingredient, media_type) and self._can_read(ingredient, media_type):
                own.append((told, ingredient))
            else:
                plain.append(told)
        definition["ingredients"] = plain
        builder = Builder.from_json(json.dumps(definition), self._context)
        for told, ingredient in own:
            assert ingredient.file is not None
            with ingredient.file.open("rb") as file:
                try:
                    builder.add_ingredient(json.dumps(told), told["format"], file)
                except C2paError as error:
                    builder.close()
                    raise CannotSign(
                        f"{ingredient.title}: its own Content Credentials cannot be taken over: {_words(error)}"
                    ) from error
        return builder

    def _can_read(self, ingredient: Ingredient, media_type: str | None) -> bool:
        """Whether its own manifest can be read; one that is damaged beyond that cannot be given along."""
        from c2pa import C2paError, Reader

        assert ingredient.file is not None
        try:
            with ingredient.file.open("rb") as file, Reader(media_type, file, context=self._context):
                return True
        except C2paError:
            return False

    def _try_out(self) -> None:
        """Sign the smallest of pictures, so that a key that is not taken is told of once and at the start."""
        from c2pa import Builder
        from PIL import Image

        picture = io.BytesIO()
        Image.new("L", (1, 1)).save(picture, "PNG")
        picture.seek(0)
        definition = {"claim_generator_info": [self._generator], "format": "image/png", "assertions": [_CREATED]}
        with Builder.from_json(json.dumps(definition), self._context) as builder:
            builder.sign(self._signer, "image/png", picture, io.BytesIO())


def check_copy(path: Path) -> list[str]:
    """What does not hold of a signed file (C2PA's codes of failures); nothing if signature and digests are right.

    Whether its signer is to be trusted is not asked.

    Raises:
        CannotSign: there is no manifest to be read in it.
    """
    from c2pa import C2paError, Context, Reader

    media_type = media_type_of(path)
    try:
        with path.open("rb") as file, Reader(media_type or "", file, context=Context.from_dict(_READING)) as reader:
            state = reader.get_validation_state()
            results = reader.get_validation_results() or {}
    except C2paError as error:
        raise CannotSign(f"{path_to_text(path.name)}: no Content Credentials can be read: {_words(error)}") from error
    failures = [str(one["code"]) for one in results.get("activeManifest", {}).get("failure", [])]
    return failures or ([] if state in ("Valid", "Trusted") else [f"state {state}"])


_CREATION = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation",
}
_CREATED = {"label": "c2pa.actions.v2", "data": {"actions": [_CREATION]}}


def _definition(generator: Mapping[str, str], title: str, media_type: str, making: Making) -> dict[str, Any]:
    opened = [_label(number) for number, one in enumerate(making.ingredients) if one.relationship == "parentOf"]
    used = [_label(number) for number, one in enumerate(making.ingredients) if one.relationship == "inputTo"]
    edited: dict[str, Any] = {
        "action": "c2pa.edited",
        "when": making.when.isoformat(timespec="seconds"),
        "softwareAgent": {"name": making.software, "version": making.version},
        "digitalSourceType": making.digital_source_type,
        "description": making.description,
        "parameters": {**making.parameters, "ingredientIds": used} if used else dict(making.parameters),
    }
    actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": opened}}, edited]
    return {
        "claim_generator_info": [generator],
        "title": title,
        "format": media_type,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }


def _label(number: int) -> str:
    """What actions name an ingredient by."""
    return f"ingredient-{number}"


def _carries_manifest(ingredient: Ingredient, media_type: str | None) -> bool:
    """Whether the file is there, is the one meant, and has Content Credentials in it that the library can read."""
    from c2pa import Reader

    if ingredient.file is None or media_type not in Reader.get_supported_mime_types():
        return False
    digest, found, before = hashlib.sha256(), False, b""
    try:
        with ingredient.file.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                found = found or _MANIFEST_STORE in before + piece
                before = piece[1 - len(_MANIFEST_STORE) :]
    except OSError:
        return False
    return found and digest.hexdigest() == ingredient.sha256


def _words(error: Exception) -> str:
    """The library's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__
