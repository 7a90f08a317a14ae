"""Masters with profiles, in any format, by the rows of the README's table."""

import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from tests.icc_profiles import SPACES, Space, cmyk_profile, gamma, table_rgb_profile
from tests.storage.formats.making import Make, Read, Row, content, noted, pillow, tiff
from tests.storage.formats.pdf_masters import icc_pdf
from tests.storage.formats.picture_masters import png
from tests.storage.formats.samples import GREY, INK, RGB, Pixels, converted
from tests.storage.images import jpeg2000_files as boxes

SRGB = SPACES["sRGB"].profile
LINEAR = Space(gamma(1.0)).profile


def with_profile(name: str, bits: int) -> list[Make]:
    profile = SPACES[name].profile
    made = [
        tiff(RGB[bits], photometric="rgb", iccprofile=profile),
        icc_pdf(RGB[bits], profile),
        jpeg2000_with_profile(RGB[bits], profile),
    ]
    if bits == 16:
        packed = png(2, 16, RGB[16], RGB[16], (b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
        made.append(lambda path: replace(packed(path), profile=profile))
    else:
        image = Image.fromarray(RGB[8])
        made += [
            pillow(image, "PNG", "RGB", icc_profile=profile),
            pillow(image, "JPEG", "RGB", icc_profile=profile),
            pillow(image, "WEBP", "RGB", icc_profile=profile, lossless=True),
        ]
    return made


def jpeg2000_with_profile(samples: Pixels, profile: bytes) -> Make:
    made = boxes.jp2(boxes.codestream(samples, 8 * samples.itemsize), boxes.profile(profile))
    return content(made, samples, profile=profile)


def grey_tiff(bits: int, profile: bytes) -> Make:
    return tiff(GREY[bits], photometric="minisblack", iccprofile=profile)


def cmyk_jpeg_with_profile(path: Path) -> Read:
    Image.fromarray(INK[8], "CMYK").save(path, "JPEG", quality=95, icc_profile=cmyk_profile())
    with Image.open(path) as image:
        return Read(converted(np.asarray(image), "CMYK", cmyk_profile()), off=2)


PROFILE_MASTERS: dict[Row, list[Make]] = {
    ("Profile of sRGB, under any name", "bit for bit", "as the master", "sRGB"): [
        *(tiff(RGB[bits], photometric="rgb", iccprofile=SRGB) for bits in (8, 16)),
        pillow(Image.fromarray(RGB[8]), "PNG", "RGB", icc_profile=bytes(imagecodecs.cms_profile("srgb"))),
    ],
    (
        "RGB profile of matrix and curves (Adobe RGB, eciRGB v2, Display P3, ProPhoto RGB); in any format",
        "bit for bit",
        "as the master",
        "the master's own",
    ): [
        make
        for name in ("Adobe RGB (1998)", "eciRGB v2", "Display P3", "ProPhoto RGB")
        for bits in (8, 16)
        for make in with_profile(name, bits)
    ],
    ("Profile of a grey scale: gamma 1.8, gamma 2.2, dot gain 20 %", "bit for bit", "as the master", "sRGB"): [
        grey_tiff(bits, SPACES[name].profile)
        for bits in (8, 16)
        for name in ("grey gamma 1.8", "grey gamma 2.2", "dot gain 20 %")
    ],
    ("Profile of linear light, grey of 8 bits", "bit for bit", "16, so that no tones are lost", "sRGB"): [
        noted(grey_tiff(8, LINEAR), "converted to 16 bits")
    ],
    ("RGB profile with a table of colours", "converted to sRGB", "as the master", "sRGB"): [
        tiff(
            RGB[8], converted(RGB[8], "RGB", table_rgb_profile()), 1, photometric="rgb", iccprofile=table_rgb_profile()
        ),
        tiff(
            RGB[16],
            converted((RGB[16] >> 8).astype(np.uint8), "RGB", table_rgb_profile()).astype(np.uint16) * 257,
            700,
            photometric="rgb",
            iccprofile=table_rgb_profile(),
        ),
    ],
    ("CMYK with profile, 8 or 16 bits", "converted to sRGB", "as the master", "sRGB"): [
        tiff(INK[8], converted(INK[8], "CMYK", cmyk_profile()), 2, photometric="separated", iccprofile=cmyk_profile()),
        tiff(
            INK[16],
            converted(INK[8], "CMYK", cmyk_profile()).astype(np.uint16) * 257,
            700,
            photometric="separated",
            iccprofile=cmyk_profile(),
        ),
        cmyk_jpeg_with_profile,
    ],
    ("Profile that is damaged, or for another kind of picture", "bit for bit", "as the master", "sRGB"): [
        noted(tiff(RGB[8], photometric="rgb", iccprofile=SPACES["eciRGB v2"].profile[:200] + bytes(600)), "is damaged"),
        noted(tiff(RGB[8], photometric="rgb", iccprofile=cmyk_profile()), "another kind of picture"),
    ],
}
