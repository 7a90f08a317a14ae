"""PDF documents: the scans of their pages are taken here, and put back in colour into a copy of the document."""

from storage.documents.opening import document_notes
from storage.documents.reading import identify_document, read_page
from storage.documents.records import MAX_PAGES, DocumentPage, PagePicture, PageScan
from storage.documents.writing import write_document

__all__ = [
    "MAX_PAGES",
    "DocumentPage",
    "PagePicture",
    "PageScan",
    "document_notes",
    "identify_document",
    "read_page",
    "write_document",
]
