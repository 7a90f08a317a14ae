"""Retrieval: which colour reference fits a grey photograph."""

from retrieval.embedding import Embedder
from retrieval.errors import RetrievalError
from retrieval.filters import ReferenceFilter
from retrieval.library import ReferenceLibrary
from retrieval.records import AddReport, FailedReference, Match, Reference

__all__ = [
    "AddReport",
    "Embedder",
    "FailedReference",
    "Match",
    "Reference",
    "ReferenceFilter",
    "ReferenceLibrary",
    "RetrievalError",
]
