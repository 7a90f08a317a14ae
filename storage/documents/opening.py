"""Opening a PDF: limits before anything is unpacked, every failure of the library as a refusal."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from pikepdf.settings import set_qpdf_limits

from storage.documents.records import MAX_PAGES
from storage.images.records import Refusal
from storage.signatures import describe_content

UNPACKED_BYTES = 1 << 26
"""What one Flate or run-length stream that is not an image may unpack to."""
_TAIL_BYTES = 1 << 16
_LOST_PAGE = "Pages tree includes non-dictionary object"
_DAMAGED = "is damaged and cannot be read as a PDF; copy it again from its source"


@dataclass(frozen=True)
class OpenDocument:
    """A document and whether its structure had to be repaired when it was opened."""

    pdf: pikepdf.Pdf
    was_repaired: bool


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the PDF library raises over bad input into ``Refusal``; a full disk stays an ``OSError``."""
    try:
        yield
    except Refusal:
        raise
    except MemoryError as error:
        raise Refusal("needs more memory than there is; run it on a larger machine", "too_large") from error
    except pikepdf.PasswordError as error:
        raise Refusal(
            "is protected with a password; save it without the password and try again", "unsupported"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, not of a decoder
        # Over damaged objects the library raises errors of every kind; all mean the same to an archivist.
        raise Refusal(_DAMAGED, "unreadable") from error


@contextmanager
def opened(path: Path) -> Iterator[OpenDocument]:
    """The document at ``path``, which nothing is written to; raises ``Refusal`` where it is not a whole PDF.

    What is done with the document belongs into ``refusals`` wherever bad input can make it fail.
    """
    _check_file(path)
    set_qpdf_limits(
        flate_max_memory=UNPACKED_BYTES,
        run_length_max_memory=UNPACKED_BYTES,
        png_max_memory=UNPACKED_BYTES,
        tiff_max_memory=UNPACKED_BYTES,
        doc_max_warnings=1000,
    )
    with refusals():
        pdf = pikepdf.open(path, access_mode=pikepdf.AccessMode.stream)
    with pdf:
        with refusals():
            warnings = tuple(str(warning) for warning in pdf.get_warnings())  # they are told only once
            _check_pages(pdf, warnings)
        yield OpenDocument(pdf, bool(warnings))


def document_notes(path: Path) -> tuple[str, ...]:
    """Remarks for people on the whole document: protection, signatures, PDF/A, forms and portfolios.

    Raises ``Refusal`` as ``identify_document`` does.
    """
    with opened(path) as document, refusals():
        root, notes = document.pdf.Root, []
        if document.pdf.is_encrypted:
            notes.append("its owner restricted what may be done with it; the coloured copy is not protected")
        if _is_signed(root):
            notes.append("it is signed; the signature does not hold for the coloured copy")
        if "/OutputIntents" in root:
            notes.append("it claims a standard for archiving or print; the coloured copy keeps the claim unchecked")
        if "/Collection" in root:
            notes.append("it is a portfolio; the documents attached to it are kept but not coloured")
        form = root.get("/AcroForm")
        if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
            notes.append("it has an XFA form, which is kept as it is")
        if document.was_repaired:
            notes.append("it is slightly damaged; its structure was repaired in the coloured copy")
        return tuple(notes)


def _is_signed(root: pikepdf.Object) -> bool:
    if "/Perms" in root:
        return True
    form = root.get("/AcroForm")
    flags = form.get("/SigFlags", 0) if isinstance(form, pikepdf.Dictionary) else 0
    return isinstance(flags, int) and bool(flags & 1)


def _check_file(path: Path) -> None:
    """Kind of file, its start and its end, before the library sees it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise Refusal(f"cannot be read ({reason}); check that it exists and may be read", "unreadable") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Refusal("is not a file but a folder or device", "not_an_image")
    with os.fdopen(descriptor, "rb") as file:
        if not status.st_size:
            raise Refusal("is empty; copy it again from its source", "empty")
        start = file.read(1024)
        if b"%PDF-" not in start:
            raise Refusal(f"is not a PDF document: it contains {describe_content(start)}", "not_an_image")
        file.seek(max(0, status.st_size - _TAIL_BYTES))
        tail = file.read(_TAIL_BYTES).rstrip(b"\0\r\n\t ")
    if b"%%EOF" not in tail[-2048:]:
        raise Refusal("is cut off: the end of the document is missing; copy it again from its source", "truncated")


def _check_pages(pdf: pikepdf.Pdf, warnings: tuple[str, ...]) -> None:
    found = len(pdf.pages)
    if found > MAX_PAGES:
        raise Refusal(f"has {found} pages, more than the {MAX_PAGES} that are taken; split it", "too_large")
    if not found:
        raise Refusal("has no pages that can be found; copy it again from its source", "unreadable")
    # The library mends the tree of pages while it opens the document and leaves out what it cannot find.
    if any(_LOST_PAGE in warning for warning in warnings):
        raise Refusal(
            f"is damaged: pages are missing, only {found} can be found; copy it again from its source", "truncated"
        )
