"""What time and cameras do to a grey photograph: grain, fading, uneven light, blur, scratches, JPEG.

Everything works on L* (1, S, S), 0..100, and returns a new tensor in that range. Amounts are drawn from the generator
that is handed in, so that one state of it gives one damage.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sscn import colour

Random = np.random.Generator


def damaged(luminance: Tensor, random: Random) -> Tensor:
    """``luminance`` with some of the damages, each with its own probability, in the order in which they befall."""
    for probability, damage in _COURSE:
        if random.random() < probability:
            luminance = damage(luminance, random).clamp(0, 100)
    return luminance


def gamma(luminance: Tensor, random: Random) -> Tensor:
    """Another exposure or emulsion: exponent 0.5..2 on L*."""
    exponent = float(np.exp(random.uniform(-np.log(2), np.log(2))))
    return 100 * (luminance / 100).clamp(0, 1) ** exponent


def uneven_light(luminance: Tensor, random: Random) -> Tensor:
    """Vignette, or a smooth fall of light to one side, up to 45%."""
    size = luminance.shape[-1]
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    depth = random.uniform(0.1, 0.45)
    if random.random() < 0.5:
        shade = ((x - random.uniform(-0.3, 0.3)) ** 2 + (y - random.uniform(-0.3, 0.3)) ** 2) / 2
    else:
        angle = random.uniform(0, 2 * np.pi)
        shade = (float(np.cos(angle)) * x + float(np.sin(angle)) * y + 1) / 2
    return luminance * (1 - depth * shade.clamp(0, 1))


def blur(luminance: Tensor, random: Random) -> Tensor:
    """Gaussian blur, sigma 0.5..1.8 pixels."""
    return _smoothed(luminance, random.uniform(0.5, 1.8))


def fading(luminance: Tensor, random: Random) -> Tensor:
    """Contrast lost, black lifted, white dimmed."""
    black, white = random.uniform(0, 30), random.uniform(65, 100)
    return black + luminance * ((white - black) / 100)


def grain(luminance: Tensor, random: Random) -> Tensor:
    """Film grain: slightly correlated noise of 1..6 L*, strongest in the middle tones."""
    noise = torch.from_numpy(random.standard_normal(luminance.shape, dtype=np.float32))
    noise = _smoothed(noise, random.uniform(0.3, 0.9))
    noise = noise / noise.std().clamp_min(1e-3)
    tone = luminance / 100
    return luminance + noise * random.uniform(1, 6) * (0.4 + 2.4 * tone * (1 - tone))


def scratches(luminance: Tensor, random: Random) -> Tensor:
    """A few hair-thin lines and specks of dust, light or dark."""
    size = luminance.shape[-1]
    line = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    marks = torch.zeros(size, size)
    for _ in range(int(random.integers(0, 4))):
        lean, bend = random.uniform(-0.15, 0.15), random.uniform(-0.03, 0.03) / size
        along, across = (y, x) if random.random() < 0.8 else (x, y)
        distance = (across - random.uniform(0, size) - lean * along - bend * along**2).abs()
        inside = (along > random.uniform(-0.5, 0.5) * size) & (along < random.uniform(0.5, 1.5) * size)
        mark = (random.uniform(0.6, 1.4) - distance).clamp(0, 1) * inside
        marks = torch.where(mark > 0, mark * random.choice([-1, 1]), marks)
    for _ in range(int(random.integers(0, 12))):
        radius = random.uniform(0.6, 3)
        left, top = int(random.integers(0, size)), int(random.integers(0, size))
        rows, columns = slice(max(0, top - 4), top + 5), slice(max(0, left - 4), left + 5)
        distance = ((y[rows, columns] - top) ** 2 + (x[rows, columns] - left) ** 2).sqrt()
        speck = (radius - distance).clamp(0, 1)
        marks[rows, columns] = torch.where(speck > 0, speck * random.choice([-1, 1]), marks[rows, columns])
    strength = random.uniform(0.3, 0.9)
    target = torch.where(marks > 0, 96.0, 8.0)
    return luminance + (target - luminance) * marks.abs() * strength


def halftone(luminance: Tensor, random: Random) -> Tensor:
    """Printed screen: dots of 3..6 pixels, half mixed with the picture behind it."""
    size = luminance.shape[-1]
    line = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    angle, pitch = random.uniform(0, np.pi / 2), random.uniform(3, 6)
    u = (float(np.cos(angle)) * x + float(np.sin(angle)) * y) * (2 * np.pi / pitch)
    v = (float(np.cos(angle)) * y - float(np.sin(angle)) * x) * (2 * np.pi / pitch)
    screen = 50 + 25 * (torch.cos(u) + torch.cos(v))
    dots = 100 * torch.sigmoid((luminance - screen) / 8)
    share = random.uniform(0.3, 0.7)
    return share * dots + (1 - share) * luminance


def jpeg(luminance: Tensor, random: Random) -> Tensor:
    """Real JPEG of quality 20..85, in grey."""
    y = colour.inverse_lab_function((luminance + 16) / 116)
    samples = colour.encode(y, np.dtype(np.uint8))[:, :, 0]
    coded = io.BytesIO()
    Image.fromarray(samples).save(coded, "JPEG", quality=int(random.integers(20, 86)))
    with Image.open(coded) as picture:
        return torch.from_numpy(colour.luminance(np.asarray(picture)))[None]


def _smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, S, S), edges repeated."""
    reach = max(1, round(3 * sigma))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = line / line.sum()
    padded = F.pad(maps[None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[0]


_COURSE: tuple[tuple[float, Callable[[Tensor, Random], Tensor]], ...] = (
    (0.35, uneven_light),
    (0.5, gamma),
    (0.35, blur),
    (0.4, fading),
    (0.6, grain),
    (0.25, scratches),
    (0.02, halftone),
    (0.4, jpeg),
)
