"""How good the colours are: the network beside simpler methods, on held-out photographs and film."""

from sscn.evaluation.comparison import Evaluation, evaluate
from sscn.evaluation.errors import MissingExtra
from sscn.evaluation.methods import ROWS, Method, chosen_rows, make_methods
from sscn.evaluation.photographs import PhotographSet

__all__ = ["ROWS", "Evaluation", "Method", "MissingExtra", "PhotographSet", "chosen_rows", "evaluate", "make_methods"]
