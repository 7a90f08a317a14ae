"""The packet of a derivative stays readable XML, whatever prefixes and claims the master's packet has."""

import sys
from pathlib import Path
from xml.dom import minidom

import pytest

from storage.images import DerivativeProvenance, describe, read_metadata
from storage.images.jpeg_writer import write_jpeg
from storage.images.records import Pixels
from storage.images.srgb import srgb_profile
from storage.images.xmp import derivative_packet

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MM = "http://ns.adobe.com/xap/1.0/mm/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
TIFF = "http://ns.adobe.com/tiff/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
FOREIGN = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{RDF}" xmlns:lab="urn:lab">
<r:Description r:about="" xmlns:m="{MM}" xmlns:ev="{EVENT}" xmlns:stEvt="urn:other" xmlns:t="{TIFF}" xmlns:d="{DC}"
  t:YCbCrPositioning="1" d:format="image/jpeg">
<t:YCbCrSubSampling><r:Seq><r:li>2</r:li><r:li>2</r:li></r:Seq></t:YCbCrSubSampling>
<m:History><r:Seq>
<r:li r:parseType="Resource"><ev:action>digitized</ev:action><stEvt:shelf lab:room="4">12</stEvt:shelf></r:li>
<r:li ev:action="cropped"><ev:changed><r:Bag><r:li>left</r:li><r:li>right</r:li></r:Bag></ev:changed></r:li>
</r:Seq></m:History></r:Description></r:RDF></x:xmpmeta>"""


def packet(
    master: bytes | None, provenance: DerivativeProvenance, media_type: str = "image/tiff"
) -> tuple[minidom.Document, tuple[str, ...]]:
    content, notes = derivative_packet(master, "a.jpg", "ab" * 32, provenance, media_type)
    return minidom.parseString(content), notes


def actions(document: minidom.Document) -> list[str]:
    (history,) = document.getElementsByTagNameNS(MM, "History")
    (events,) = (node for node in history.childNodes if isinstance(node, minidom.Element))
    found = []
    for event in events.childNodes:
        if isinstance(event, minidom.Element):
            inner = event.getElementsByTagNameNS(EVENT, "action")
            found.append(inner[0].firstChild.data if inner else event.getAttributeNS(EVENT, "action"))
    return found


def test_a_history_with_prefixes_of_its_own_is_kept(provenance: DerivativeProvenance) -> None:
    document, notes = packet(FOREIGN.encode(), provenance)
    assert notes == ()
    assert actions(document) == ["digitized", "cropped", "colorized"]
    (shelf,) = document.getElementsByTagNameNS("urn:other", "shelf")
    assert shelf.getAttributeNS("urn:lab", "room") == "4"
    (changed,) = document.getElementsByTagNameNS(EVENT, "changed")
    assert len(changed.getElementsByTagNameNS(RDF, "li")) == 2


@pytest.mark.parametrize("again", [FOREIGN.encode(), None], ids=["foreign", "none"])
def test_a_derivative_of_a_derivative(again: bytes | None, provenance: DerivativeProvenance) -> None:
    first, _ = derivative_packet(again, "a.jpg", "ab" * 32, provenance, "image/tiff")
    document, notes = packet(first, provenance)
    assert notes == ()
    assert actions(document)[-2:] == ["colorized", "colorized"]


def test_the_default_namespace_moves_along(provenance: DerivativeProvenance) -> None:
    text = FOREIGN.replace("ev:action", "action").replace('xmlns:ev="', 'xmlns="').replace("ev:changed", "changed")
    document, notes = packet(text.replace("<r:li action=", f'<r:li xmlns:e="{EVENT}" e:action=').encode(), provenance)
    assert notes == ()
    assert actions(document) == ["digitized", "cropped", "colorized"]


def test_a_packet_too_deep_to_be_written_is_left_out(provenance: DerivativeProvenance) -> None:
    limit = sys.getrecursionlimit()
    kept = set()
    for depth in range(limit - 150, limit, 2):  # deep enough to be read and not to be written lies in here
        nested = "<lab:a>" * depth + "</lab:a>" * depth
        text = FOREIGN.replace("</r:Description>", f"{nested}</r:Description>")
        document, notes = packet(text.encode(), provenance)
        kept.add(notes == ())
        assert (notes == ()) == (len(actions(document)) == 3)
    assert kept == {True, False}


@pytest.mark.parametrize("media_type", ["image/tiff", "image/png"])
def test_what_is_said_of_the_file_is_true_of_the_derivative(media_type: str, provenance: DerivativeProvenance) -> None:
    document, _ = packet(FOREIGN.encode(), provenance, media_type)
    (stated,) = document.getElementsByTagNameNS(DC, "format")
    assert stated.firstChild is not None
    assert stated.firstChild.nodeValue == media_type
    text = document.toxml()
    assert "image/jpeg" not in text
    assert "YCbCr" not in text


def test_the_extended_part_of_a_jpegs_xmp_is_read(tmp_path: Path, sepia: Pixels) -> None:
    """Some 200 KB of keywords, which are more than the 64 KB of a segment."""
    words = "".join(f"<rdf:li>word {number:05}</rdf:li>" for number in range(9000))
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="shelf 4"/>'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
    path = tmp_path / "a.jpg"
    notes = write_jpeg(path, sepia, quality=80, icc=srgb_profile(), xmp=packet, iptc=None, exif_block=None, ppi=None)
    assert notes == ()
    metadata = read_metadata(path)
    assert metadata.notes == ()
    tags = describe(metadata).tags
    assert (tags[0], tags[-1]) == ("word 00000", "word 00999")  # of a thousand, the most that are taken
    assert b"word 08999" in (metadata.xmp or b"")
    assert b"shelf 4" in (metadata.xmp or b"")
    content = path.read_bytes()
    at = content.index(b"word 04000")
    path.write_bytes(content[:at] + b"WORD" + content[at + 4 :])  # its digest does not fit any more
    damaged = read_metadata(path)
    assert any("extended part of its XMP is damaged" in note for note in damaged.notes)
    assert b"word 08999" not in (damaged.xmp or b"")
