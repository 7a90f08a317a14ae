"""Preset ``paper``: the network as Bai et al. (ECCV 2022, arXiv 2112.01335) publish it, trained from scratch.

Layer shapes, loss weights and numbers are theirs. What their table leaves open is decided here, and said where it is
decided with the word "ours". Lab inside is L* / 50 - 1 and a*, b* / 110; at the borders of the package it is plain.
"""

from sscn.paper.network import PaperPrediction, PaperReference, PaperSSCN

__all__ = ["PaperPrediction", "PaperReference", "PaperSSCN"]
