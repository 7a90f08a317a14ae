"""Real pictures for the network: colour photographs that come with scikit-image, made small."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples

from sscn import Colorizer


def small(image: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(image)
    picture.thumbnail((long_side, long_side))
    return np.asarray(picture)


@pytest.fixture(scope="session")
def cat() -> NDArray[np.uint8]:
    return small(samples.chelsea(), 240)


@pytest.fixture(scope="session")
def coffee() -> NDArray[np.uint8]:
    return small(samples.coffee(), 240)


@pytest.fixture(scope="session")
def colorizer() -> Colorizer:
    return Colorizer.from_pretrained("default", size=192)
