"""How each preset learns from a batch of pairs."""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from sscn.network import SSCN
from sscn.paper import PaperSSCN
from sscn.paper.losses import paper_losses
from sscn.pretrained import make_network
from sscn.training.losses import Losses
from sscn.training.pairs import TrainingPair
from sscn.training.step import losses_of, principal_projection


class Recipe(Protocol):
    """A preset in training."""

    @property
    def network(self) -> nn.Module:
        """In training."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts of the loss."""

    def begin(self, luminances: list[Tensor]) -> None:
        """Before the first step; L* (1, 1, S, S) of some targets."""

    def losses(self, pair: TrainingPair, generator: torch.Generator, step: int) -> Tensor:
        """The weighted parts of a batch's loss, (len(names),); what is random comes from ``generator``."""

    def resting(self, step: int) -> Iterable[nn.Parameter]:
        """What does not learn at this step, though it does at others."""


class DefaultRecipe:
    """Preset ``default``: all but the pretrained encoder learns."""

    def __init__(self, network: SSCN, matching_steps: int) -> None:
        self.network = network
        self.names = Losses._fields
        self.matching_steps = matching_steps

    def begin(self, luminances: list[Tensor]) -> None:
        """The matching starts from the encoder's principal components."""
        principal_projection(self.network, luminances)

    def losses(self, pair: TrainingPair, generator: torch.Generator, step: int) -> Tensor:
        """See ``sscn.training.step``."""
        return torch.stack(list(losses_of(self.network, pair, generator, matching=step < self.matching_steps)))

    def resting(self, step: int) -> Iterable[nn.Parameter]:
        """The matching, after its steps."""
        return self.network.extract.fine.parameters() if step >= self.matching_steps else ()


class PaperRecipe:
    """Preset ``paper``: everything learns, by the paper's losses. Without labels, its classifier does not: a folder of
    photographs has none, and class activation then says little."""

    def __init__(self, network: PaperSSCN) -> None:
        self.network = network
        self.names = ("loss",)
        network.colour.classifier.requires_grad_(False)

    def begin(self, luminances: list[Tensor]) -> None:
        """Nothing: every layer starts from scratch."""

    def losses(self, pair: TrainingPair, generator: torch.Generator, step: int) -> Tensor:
        """Paper, supplement: smooth-L1 of both stages, total variation, 529-bin cross-entropy."""
        seed = int(torch.randint(1 << 30, (), generator=generator))
        reference = self.network.encode_reference(pair.reference, key_seed=seed)
        return paper_losses(self.network(pair.luminance, reference), reference, pair.truth).total[None]

    def resting(self, step: int) -> Iterable[nn.Parameter]:
        """Nothing."""
        return ()


def make_recipe(preset: str, matching_steps: int) -> Recipe:
    """An untrained network of the preset and how it learns (``TrainSettings.matching_steps``).

    Raises:
        SscnError: there is no such preset.
    """
    network = make_network(preset, "dense" if preset == "default" else "sparse")
    return DefaultRecipe(network, matching_steps) if isinstance(network, SSCN) else PaperRecipe(network)
