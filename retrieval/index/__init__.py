"""The nearest-neighbour index over a library's vectors: a build that can be thrown away; the database is the truth.

A build is a manifest and the files it names, which never change: vectors and ids in the order of positions, and for a
large library the coded lists of an inverted file. Whatever does not agree with the manifest or with the database is
built again. What the database has and the build has not is held in memory beside it, until it is worth writing down.
"""

from retrieval.index.check import IndexCheck, check_index
from retrieval.index.index import Hits, VectorIndex
from retrieval.index.keeper import IndexKeeper
from retrieval.index.manifest import MANIFEST_NAME
from retrieval.index.plan import IndexPlan

__all__ = ["MANIFEST_NAME", "Hits", "IndexCheck", "IndexKeeper", "IndexPlan", "VectorIndex", "check_index"]
