"""What files say of their pictures: XMP, IPTC-IIM and Exif, in every format, as archives' programs write them."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from storage.errors import UnreadableImage
from storage.images import MasterMetadata, PictureDescription, describe, read_master, read_metadata
from storage.images.records import Pixels

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "dc": "http://purl.org/dc/elements/1.1/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
        "cc": "http://creativecommons.org/ns#",
    }.items()
)
EVERYTHING = PictureDescription(
    caption="Schafe unter dem Säntis",
    rights="© Müller & Söhne, CC BY 4.0",
    creator="M. Keller; Ä. Frei",
    created="1936-05-02",
    tags=("Farm", "Schafe"),
)


def packet(properties: str, attributes: str = "") -> bytes:
    text = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" {SPACES}'
    return f"{text} {attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>".encode()


def of_xmp(properties: str, attributes: str = "") -> PictureDescription:
    return describe(MasterMetadata(xmp=packet(properties, attributes)))


def datasets(*pairs: tuple[int, bytes], record: int = 2) -> bytes:
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for number, value in pairs)


XMP = """<dc:description><rdf:Alt><rdf:li xml:lang="en">Sheep</rdf:li>
<rdf:li xml:lang="x-default">Schafe  unter
 dem Säntis</rdf:li></rdf:Alt></dc:description>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Müller &amp; Söhne, CC BY 4.0</rdf:li></rdf:Alt></dc:rights>
<dc:creator><rdf:Seq><rdf:li>M. Keller</rdf:li><rdf:li>Ä. Frei</rdf:li></rdf:Seq></dc:creator>
<dc:subject><rdf:Bag><rdf:li>Schafe</rdf:li><rdf:li>Farm</rdf:li><rdf:li>farm</rdf:li></rdf:Bag></dc:subject>"""


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_every_format_is_read(suffix: str, tmp_path: Path, sepia: Pixels) -> None:
    content = packet(XMP, 'photoshop:DateCreated="1936-05-02"')
    path = tmp_path / f"sheep.{suffix}"
    picture = Image.fromarray(sepia)
    if suffix == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", content.decode())
        picture.save(path, pnginfo=text)
    elif suffix == "tif":
        picture.save(path, tiffinfo={700: content})
    else:
        picture.save(path, xmp=content)
    assert describe(read_metadata(path)) == EVERYTHING
    assert describe(read_master(path).metadata) == EVERYTHING


def test_what_exiftool_writes_as_iptc_is_read(tmp_path: Path, sepia: Pixels, exiftool: Callable[..., str]) -> None:
    path = tmp_path / "sheep.jpg"
    Image.fromarray(sepia).save(path)
    tags = ["-IPTC:Caption-Abstract=Schafe unter dem Säntis", "-IPTC:CopyrightNotice=© Müller & Söhne, CC BY 4.0"]
    tags += ["-IPTC:By-line=M. Keller", "-IPTC:By-line=Ä. Frei", "-IPTC:DateCreated=1936:05:02"]
    tags += ["-IPTC:Keywords=Schafe", "-IPTC:Keywords=Farm"]
    for charset in ("-IPTC:CodedCharacterSet=UTF8", "-codedcharacterset=", "-codedcharacterset=Latin"):
        exiftool("-overwrite_original", "-m", "-IPTC:all=", charset, *tags, path)
        assert describe(read_metadata(path)) == EVERYTHING, charset


def test_iptc_of_an_unknown_code_page_and_with_a_damaged_end() -> None:
    block = datasets((120, "Säntis".encode("cp1252")), (55, b"19360000"), (25, b"Farm"), (25, b""))
    found = PictureDescription(caption="Säntis", created="1936", tags=("Farm",))
    assert describe(MasterMetadata(iptc=block)) == found
    for end in (b"\x1c\x02\x74\x00\x50half", b"\x1c\x02\x74\x80\x04\xff\xff\xff\xffx", b"\x1c\x02", b"rubbish"):
        assert describe(MasterMetadata(iptc=block + end)) == found
    large = b"\x1c\x02\x74\x80\x04" + struct.pack(">I", 3) + b"CC0"
    assert describe(MasterMetadata(iptc=large)).rights == "CC0"


def test_exif_is_the_last_to_be_asked(tmp_path: Path, sepia: Pixels) -> None:
    exif = Image.Exif()
    exif[270], exif[315], exif[33432] = "A farm", "M. Keller", "CC0"
    exif.get_ifd(34665)[36867] = "1998:05:02 10:00:00"
    path = tmp_path / "farm.jpg"
    Image.fromarray(sepia).save(path, exif=exif)
    found = PictureDescription("A farm", "CC0", "M. Keller", "1998:05:02 10:00:00")
    assert describe(read_metadata(path)) == found
    other = packet("<dc:rights>PD</dc:rights>", 'xmp:CreateDate="2019-01-01"')
    Image.fromarray(sepia).save(path, exif=exif, xmp=other)
    # the day it was taken goes before the day it was made a file
    assert describe(read_metadata(path)) == PictureDescription("A farm", "PD", "M. Keller", "1998:05:02 10:00:00")


def test_what_stands_in_for_what_is_missing() -> None:
    terms = '<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="de">frei</rdf:li></rdf:Alt></xmpRights:UsageTerms>'
    assert of_xmp(terms).rights == "frei"
    assert of_xmp('<cc:license rdf:resource="https://cc.org/by/4.0/"/>').rights == "https://cc.org/by/4.0/"
    assert of_xmp("", 'photoshop:Headline="A farm"').caption == "A farm"
    camera = "<dc:description><rdf:Alt><rdf:li>OLYMPUS DIGITAL CAMERA</rdf:li></rdf:Alt></dc:description>"
    assert of_xmp(camera).caption is None
    assert of_xmp("<dc:rights> </dc:rights>", 'photoshop:DateCreated=""') == PictureDescription()


@pytest.mark.parametrize("damaged", [b"", b"<x", packet("<dc:rights>"), b"<!DOCTYPE a>" + packet(XMP)])
def test_a_damaged_packet_says_nothing(damaged: bytes) -> None:
    assert describe(MasterMetadata(xmp=damaged, exif=b"II*\0rubbish")) == PictureDescription()


def test_texts_have_bounds() -> None:
    tags = "".join(f"<rdf:li>{number:05} {'long ' * 100}</rdf:li>" for number in range(2000))
    found = of_xmp(f"<dc:rights>{'x' * 100_000}</dc:rights><dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject>")
    assert (len(found.rights or ""), len(found.tags), len(found.tags[0])) == (10_000, 1000, 250)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Sir, there is no picture in this.\n")
    with pytest.raises(UnreadableImage, match="is not an image"):
        read_metadata(tmp_path / "letter.txt")
