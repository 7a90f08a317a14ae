"""An image object's dictionary (ISO 32000-1, 8.9.5) and its colour space (8.6), read without decoding samples."""

from dataclasses import dataclass, replace
from typing import Literal

import pikepdf

from storage.documents.drawings import numbers
from storage.images.records import Refusal

_ICC_BYTES = 1 << 24
_CHANNELS = {"grey": 1, "rgb": 3, "cmyk": 4}
_DEVICE: dict[str, Literal["grey", "rgb", "cmyk"]] = {
    "/DeviceGray": "grey",
    "/CalGray": "grey",
    "/G": "grey",
    "/DeviceRGB": "rgb",
    "/CalRGB": "rgb",
    "/RGB": "rgb",
    "/DeviceCMYK": "cmyk",
    "/CMYK": "cmyk",
}
_BY_COMPONENTS: dict[int, Literal["grey", "rgb", "cmyk"]] = {1: "grey", 3: "rgb", 4: "cmyk"}
_FILTERS = {
    "/A85": "/ASCII85Decode",
    "/AHx": "/ASCIIHexDecode",
    "/CCF": "/CCITTFaxDecode",
    "/DCT": "/DCTDecode",
    "/Fl": "/FlateDecode",
    "/LZW": "/LZWDecode",
    "/RL": "/RunLengthDecode",
}
_DEPTHS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class ColourSpace:
    """``kind`` of the colours; ``profile`` is the ICC profile's stream, ``palette`` the colours of an indexed space."""

    kind: Literal["grey", "rgb", "cmyk"]
    profile: pikepdf.Stream | None = None
    palette: bytes | None = None

    @property
    def channels(self) -> int:
        """Of a colour: 1, 3 or 4."""
        return _CHANNELS[self.kind]


@dataclass(frozen=True)
class StoredImage:
    """What an image's dictionary says; width and height in pixels, ``bits`` a component.

    ``space`` is None where the colours are of a kind that only a renderer turns into pixels (Lab, Separation ...).
    """

    stream: pikepdf.Stream
    width: int
    height: int
    bits: int
    filters: tuple[str, ...]
    parameters: tuple[pikepdf.Dictionary | None, ...]
    space: ColourSpace | None
    is_stencil: bool
    decode: tuple[float, ...] | None

    @property
    def channels(self) -> int:
        """Colour channels: 1 grey, 3 also for what only a renderer reads, 4 CMYK."""
        return 3 if self.space is None else self.space.channels

    @property
    def codec(self) -> str:
        """The filter that makes samples, or an empty text."""
        return self.filters[-1] if self.filters else ""

    @property
    def has_masked_colours(self) -> bool:
        """Whether its transparency is said in terms of the samples themselves, so that it cannot stay as it is."""
        mask, soft = self.stream.get("/Mask"), self.stream.get("/SMask")
        matte = isinstance(soft, pikepdf.Stream) and "/Matte" in soft
        return isinstance(mask, pikepdf.Array) or matte or bool(self.stream.get("/SMaskInData", 0))

    @property
    def profile(self) -> bytes | None:
        """The bytes of its ICC profile."""
        if self.space is None or self.space.profile is None:
            return None
        found = self.space.profile.read_bytes()
        return found if 128 < len(found) <= _ICC_BYTES else None


def describe_image(stream: pikepdf.Stream, resources: pikepdf.Dictionary, root: pikepdf.Object) -> StoredImage:
    """The dictionary's facts; raises ``Refusal`` where it gives no size that an image can have.

    ``resources`` are those of the page, whose default spaces stand for the device's; the output intent in the
    document's ``root`` does where there is none.
    """
    width, height = stream.get("/Width", 0), stream.get("/Height", 0)
    if not isinstance(width, int) or not isinstance(height, int) or width < 1 or height < 1:
        raise Refusal("is damaged: a picture in it has no size; copy it again from its source", "unreadable")
    filters, parameters = _filters(stream)
    stencil = stream.get("/ImageMask", False) is True
    bits = stream.get("/BitsPerComponent", 8)
    if stencil or filters[-1:] in (("/CCITTFaxDecode",), ("/JBIG2Decode",)):
        bits = 1
    elif filters[-1:] in (("/DCTDecode",), ("/JPXDecode",)):
        bits = 16 if filters[-1] == "/JPXDecode" and bits == 16 else 8
    if bits not in _DEPTHS:
        raise Refusal("is damaged: a picture in it has an impossible depth", "unreadable")
    space: ColourSpace | None = ColourSpace("grey")
    if not stencil:
        declared = stream.get("/ColorSpace")
        if declared is None:
            space = ColourSpace("rgb") if filters[-1:] == ("/JPXDecode",) else None
        else:
            space = _space(declared, resources)
        if space is not None and space.profile is None and _is_device(declared):
            space = replace(space, profile=_intended_profile(root, space))
    return StoredImage(stream, width, height, int(bits), filters, parameters, space, stencil, _decode(stream))


def _decode(stream: pikepdf.Stream) -> tuple[float, ...] | None:
    values = stream.get("/Decode")
    return numbers(values, len(values)) or None if isinstance(values, pikepdf.Array) else None


def _filters(stream: pikepdf.Stream) -> tuple[tuple[str, ...], tuple[pikepdf.Dictionary | None, ...]]:
    filters, parameters = stream.get("/Filter"), stream.get("/DecodeParms", stream.get("/DP"))
    names = list(filters) if isinstance(filters, pikepdf.Array) else [] if filters is None else [filters]
    values = list(parameters) if isinstance(parameters, pikepdf.Array) else [parameters]
    if len(names) > 8:
        raise Refusal("has a picture that is packed too many times over", "unsupported")
    found = [value if isinstance(value, pikepdf.Dictionary) else None for value in values[: len(names)]]
    found += [None] * (len(names) - len(found))
    return tuple(_FILTERS.get(str(name), str(name)) for name in names), tuple(found)


def _space(declared: pikepdf.Object, resources: pikepdf.Dictionary, inner: bool = False) -> ColourSpace | None:
    """A colour space, or None for those that only a renderer reads."""
    if isinstance(declared, pikepdf.Name):
        kind = _DEVICE.get(str(declared))
        if kind is None:
            named = _named(resources, str(declared))
            return None if inner or named is None else _space(named, resources, inner=True)
        default = _named(resources, {"grey": "/DefaultGray", "rgb": "/DefaultRGB", "cmyk": "/DefaultCMYK"}[kind])
        found = None if default is None or isinstance(default, pikepdf.Name) else _space(default, resources, inner=True)
        return found if found is not None and found.kind == kind and found.palette is None else ColourSpace(kind)
    if not isinstance(declared, pikepdf.Array) or not len(declared):
        return None
    family = str(declared[0])
    if family in _DEVICE:
        return ColourSpace(_DEVICE[family])
    if family == "/ICCBased" and len(declared) > 1 and isinstance(declared[1], pikepdf.Stream):
        components = declared[1].get("/N", 0)
        kind = _BY_COMPONENTS.get(int(components)) if isinstance(components, int) else None
        return None if kind is None else ColourSpace(kind, declared[1])
    if family in ("/Indexed", "/I") and len(declared) > 3 and not inner:
        base = _space(declared[1], resources, inner=True)
        table = declared[3].read_bytes() if isinstance(declared[3], pikepdf.Stream) else bytes(declared[3])
        if base is None or base.palette is not None or not table:
            return None
        return replace(base, palette=table[: 256 * base.channels])
    return None


def _named(resources: pikepdf.Dictionary, name: str) -> pikepdf.Object | None:
    group = resources.get("/ColorSpace")
    return group.get(name) if isinstance(group, pikepdf.Dictionary) else None


def _is_device(declared: pikepdf.Object | None) -> bool:
    return isinstance(declared, pikepdf.Name) and str(declared) in _DEVICE


def _intended_profile(root: pikepdf.Object, space: ColourSpace) -> pikepdf.Stream | None:
    """The profile of the document's output intent (14.11.5), where it is for such colours."""
    intents = root.get("/OutputIntents")
    if not isinstance(intents, pikepdf.Array):
        return None
    for intent in list(intents)[:8]:
        profile = intent.get("/DestOutputProfile") if isinstance(intent, pikepdf.Dictionary) else None
        if isinstance(profile, pikepdf.Stream) and profile.get("/N") == space.channels:
            return profile
    return None
