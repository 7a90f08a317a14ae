"""Retrieval: which colour reference fits a grey photograph."""

from retrieval.borrowed import BorrowedLibrary
from retrieval.embedding import Embedder
from retrieval.errors import RetrievalError
from retrieval.filters import ReferenceFilter
from retrieval.library import ReferenceLibrary
from retrieval.records import AddReport, FailedReference, Match, Reference
from retrieval.searchable import SearchableLibrary

__all__ = [
    "AddReport",
    "BorrowedLibrary",
    "Embedder",
    "FailedReference",
    "Match",
    "Reference",
    "ReferenceFilter",
    "ReferenceLibrary",
    "RetrievalError",
    "SearchableLibrary",
]
