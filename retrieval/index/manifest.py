"""The manifest: what an index was built from, which files it is, and the digests of their bytes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from storage.fixity import atomic_write, sha256_bytes

MANIFEST_NAME = "references.json"
_FORMAT = 2
"""Of the manifest and of the files it names; an index of another one is built again."""


class StaleIndex(Exception):  # noqa: N818 - the name is the finding
    """The index on disk cannot be used as it stands; the first argument says which file and why, in one line."""


class NoIndex(StaleIndex):
    """There is none yet."""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file beside the manifest."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class InvertedLists:
    """An inverted file: its lists, how many of them are probed, how many vectors they were trained for, and the part of
    the ten nearest neighbours that was found when that was decided."""

    file: IndexFile
    lists: int
    probes: int
    trained_for: int
    recall: float


@dataclass(frozen=True, slots=True)
class Anchors:
    """Some of the references and a digest of what is on record of them: only the database they came from has it."""

    ids: tuple[int, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A build of the index.

    `change` is the library's last change that it has (`reference.change`), `count` its references in use, `positions`
    its vectors, those of references no longer in use included, `content` what `retrieval.index.content` makes of its
    references. `rows` holds ids and digests, `vectors` the vectors one after the other, in one file or more.
    """

    library: str
    embedding_version: str
    dimension: int
    change: int
    count: int
    positions: int
    content: str
    anchors: Anchors
    rows: IndexFile
    vectors: tuple[IndexFile, ...]
    lists: InvertedLists | None = None

    @property
    def kind(self) -> Literal["flat", "ivf"]:
        """Whether vectors are compared one by one, or looked up in inverted lists first."""
        return "flat" if self.lists is None else "ivf"

    @property
    def files(self) -> tuple[IndexFile, ...]:
        """All files that it names."""
        return (self.rows, *self.vectors, *([] if self.lists is None else [self.lists.file]))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make this the index of the folder; the files it names are there already.

    Raises:
        OSError: the folder cannot be written to.
    """
    content = asdict(manifest)
    text = json.dumps({"format": _FORMAT, "sha256": _digest(content), "index": content}, indent=1)
    with atomic_write(folder / MANIFEST_NAME) as path:
        path.write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the folder's index, if it is whole.

    Raises:
        NoIndex: there is none.
        StaleIndex: it cannot be read, is damaged, or another version of this program wrote it.
    """
    path = folder / MANIFEST_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoIndex(f"{folder}: there is no search index yet") from error
    except OSError as error:
        raise StaleIndex(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise StaleIndex(f"{path} is damaged") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise StaleIndex(f"{path} is of another version of this program")
    content = document.get("index")
    if not isinstance(content, dict) or document.get("sha256") != _digest(content):
        raise StaleIndex(f"{path} is damaged")
    return _manifest(content)


def _manifest(content: dict[str, Any]) -> Manifest:
    lists = content["lists"]
    return Manifest(
        **{name: content[name] for name in ("library", "embedding_version", "dimension", "change", "count")},
        positions=content["positions"],
        content=content["content"],
        anchors=Anchors(tuple(content["anchors"]["ids"]), content["anchors"]["sha256"]),
        rows=IndexFile(**content["rows"]),
        vectors=tuple(IndexFile(**one) for one in content["vectors"]),
        lists=None if lists is None else InvertedLists(**(lists | {"file": IndexFile(**lists["file"])})),
    )


def _digest(content: dict[str, Any]) -> str:
    return sha256_bytes(json.dumps(content, sort_keys=True).encode())
