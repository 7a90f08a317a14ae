"""XMP (ISO 16684-1): the master's packet, and in it what is said of the derivative.

Properties: IPTC Photo Metadata 2025.1 (DigitalSourceType, AISystemUsed, AISystemVersionUsed) and the XMP
media management schema (DerivedFrom, Ingredients, History).
"""

import hashlib
import re
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from storage.images.records import DerivativeProvenance

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_MM = "http://ns.adobe.com/xap/1.0/mm/"
_REF = "http://ns.adobe.com/xap/1.0/sType/ResourceRef#"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_DC = "http://purl.org/dc/elements/1.1/"
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MAX_BYTES = 1 << 22
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BEGIN = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = b'\n<?xpacket end="w"?>'

_REPLACED = frozenset(
    {(_DC, "format"), (_IPTC, "DigitalSourceType"), (_IPTC, "AISystemUsed"), (_IPTC, "AISystemVersionUsed")}
    | {(_MM, name) for name in ("DerivedFrom", "Ingredients", "DocumentID", "InstanceID")}
)
_NO_LONGER_TRUE = frozenset(
    {(_XMP, "Thumbnails"), (_PHOTOSHOP, "ICCProfile"), (_PHOTOSHOP, "ColorMode"), (_EXIF, "ColorSpace")}
    | {(_TIFF, name) for name in ("PhotometricInterpretation", "SamplesPerPixel", "BitsPerSample", "Compression")}
    | {(_TIFF, name) for name in ("YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients", "PlanarConfiguration")}
    | {("http://ns.adobe.com/xmp/note/", "HasExtendedXMP")}
)
"""What is said of the grey master's storage and would be wrong of the derivative."""


def derivative_packet(
    master_packet: bytes | None,
    source_name: str,
    source_sha256: str,
    provenance: DerivativeProvenance,
    media_type: str,
) -> tuple[bytes, tuple[str, ...]]:
    """The XMP packet of a derivative, UTF-8, and notes: a damaged packet of the master is left out.

    ``media_type`` is the derivative's own (``"image/tiff"``). The same arguments give the same bytes. The
    master's history is kept and the new event appended to it.
    """
    document = parse_packet(master_packet)
    if document is not None:
        packet = _whole_packet(document, source_name, source_sha256, provenance, media_type)
        if packet is not None:
            return packet, ()
    notes = () if master_packet is None else ("the master's XMP packet is damaged and was left out",)
    return _packet(_empty(), source_name, source_sha256, provenance, media_type), notes


def _whole_packet(
    document: minidom.Document,
    source_name: str,
    source_sha256: str,
    provenance: DerivativeProvenance,
    media_type: str,
) -> bytes | None:
    """The packet with the master's properties in it; None if they cannot be written so that they are read again."""
    try:
        packet = _packet(document, source_name, source_sha256, provenance, media_type)
        minidom.parseString(packet)
    except (ExpatError, ValueError, RecursionError):
        return None
    return packet


def _packet(
    document: minidom.Document,
    source_name: str,
    source_sha256: str,
    provenance: DerivativeProvenance,
    media_type: str,
) -> bytes:
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    old = {name: _take(rdf, _MM, name) for name in ("DocumentID", "InstanceID", "OriginalDocumentID")}
    for namespace, name in _REPLACED | _NO_LONGER_TRUE:
        _take(rdf, namespace, name)
    history = _take_history(rdf)
    description = _description(document, rdf)
    add = _Adder(document, description)
    add.text(_DC, "dc:format", media_type)
    add.text(_IPTC, "Iptc4xmpExt:DigitalSourceType", _SOURCE_TYPE + provenance.digital_source_type)
    add.text(_IPTC, "Iptc4xmpExt:AISystemUsed", provenance.ai_system)
    add.text(_IPTC, "Iptc4xmpExt:AISystemVersionUsed", provenance.ai_system_version)
    add.text(_MM, "xmpMM:DocumentID", _document_id(source_sha256, provenance))
    original = old["OriginalDocumentID"] or old["DocumentID"]
    if original:
        add.text(_MM, "xmpMM:OriginalDocumentID", original)
    derived = {"documentID": f"sha256:{source_sha256}", "filePath": source_name}
    if old["InstanceID"]:
        derived["instanceID"] = old["InstanceID"]
    if original:
        derived["originalDocumentID"] = original
    add.structure(description, "xmpMM:DerivedFrom", _REF, "stRef", derived)
    if provenance.reference_sha256:
        reference = {"documentID": f"sha256:{provenance.reference_sha256}"}
        if provenance.reference_name:
            reference["filePath"] = provenance.reference_name
        add.structure(add.array("xmpMM:Ingredients", "Bag"), "rdf:li", _REF, "stRef", reference)
    events = add.array("xmpMM:History", "Seq")
    for event, scope in history:
        _declare(event, scope, _scope(events))
        events.appendChild(event)
    add.structure(events, "rdf:li", _EVENT, "stEvt", _event(provenance))
    root = document.documentElement
    assert root is not None
    return _BEGIN + root.toxml("utf-8") + _END


def _event(provenance: DerivativeProvenance) -> dict[str, str]:
    parameters = "; ".join(f"{name}={value}" for name, value in sorted(provenance.parameters.items()))
    event = {
        "action": provenance.action,
        "softwareAgent": f"{provenance.software} {provenance.version}",
        "when": provenance.when.isoformat(timespec="seconds"),
    }
    return event | ({"parameters": parameters} if parameters else {})


def _document_id(source_sha256: str, provenance: DerivativeProvenance) -> str:
    """An identifier of this derivative that does not change when the same work is done again."""
    work = [source_sha256, provenance.ai_system, provenance.ai_system_version]
    work += [provenance.reference_sha256 or "", provenance.software, provenance.version]
    work += [f"{name}={value}" for name, value in sorted(provenance.parameters.items())]
    digest = hashlib.sha256("\n".join(work).encode("utf-8", "surrogatepass")).hexdigest()
    return f"xmp.did:{digest[:32]}"


def parse_packet(packet: bytes | None) -> minidom.Document | None:
    """The packet as a document with one RDF element; None if there is none, or it is damaged."""
    if packet is None or len(packet) > _MAX_BYTES:
        return None
    packet = packet.rstrip(b"\0 \r\n\t")
    if b"<!" in packet.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
        return None  # a document type could define entities that grow without end; XMP has none
    try:
        document = minidom.parseString(packet)
        roots = document.getElementsByTagNameNS(RDF, "RDF")
        return document if len(roots) == 1 else None
    except (ExpatError, ValueError, RecursionError, LookupError):
        return None


def joined(packet: bytes, extension: bytes) -> bytes | None:
    """A packet with the properties of its extension (XMP part 3, 1.1.3.1); None if either is damaged."""
    document, other = parse_packet(packet), parse_packet(extension)
    if document is None or other is None:
        return None
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    for description in descriptions(other.getElementsByTagNameNS(RDF, "RDF")[0]):
        scope = _scope(description)
        moved = document.importNode(description, True)
        rdf.appendChild(moved)
        _declare(moved, scope, _scope(rdf))
    root = document.documentElement
    assert root is not None
    return _BEGIN + root.toxml("utf-8") + _END


def _empty() -> minidom.Document:
    return minidom.parseString(f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode())


def descriptions(rdf: minidom.Element) -> list[minidom.Element]:
    """The elements that hold the properties."""
    return elements(rdf, RDF, "Description")


def _take(rdf: minidom.Element, namespace: str, name: str) -> str | None:
    """Remove a top-level property, as attribute or element; its text if it is a plain one."""
    found: str | None = None
    for description in descriptions(rdf):
        if description.hasAttributeNS(namespace, name):
            found = description.getAttributeNS(namespace, name)
            description.removeAttributeNS(namespace, name)
        for node in elements(description, namespace, name):
            texts = [child.data for child in node.childNodes if child.nodeType == Node.TEXT_NODE]
            found = found or "".join(texts).strip()
            description.removeChild(node)
    return found or None


def _take_history(rdf: minidom.Element) -> list[tuple[minidom.Element, dict[str, str]]]:
    """The events of the master's history, taken out of it, each with the namespaces that it was written in."""
    events: list[tuple[minidom.Element, dict[str, str]]] = []
    for description in descriptions(rdf):
        for node in elements(description, _MM, "History"):
            for array in node.childNodes:
                if isinstance(array, minidom.Element):
                    events.extend((event, _scope(event)) for event in elements(array, RDF, "li"))
            description.removeChild(node)
    return events


def elements(parent: minidom.Element, namespace: str, name: str) -> list[minidom.Element]:
    """The children of that name, not what lies deeper."""
    return [
        node
        for node in parent.childNodes
        if isinstance(node, minidom.Element) and (node.namespaceURI, node.localName) == (namespace, name)
    ]


def _scope(element: minidom.Element) -> dict[str, str]:
    """The namespace declarations that hold for an element, its own and those around it: attribute to value."""
    found: dict[str, str] = {}
    node: Node | None = element
    while isinstance(node, minidom.Element):
        for attribute in node.attributes.values():
            if attribute.namespaceURI == _XMLNS:
                found.setdefault(attribute.name, attribute.value)
        node = node.parentNode
    return found


def _declare(element: minidom.Element, scope: dict[str, str], there: dict[str, str]) -> None:
    """Write ``scope`` on an element that moves to where the declarations ``there`` hold, if they differ."""
    for name, namespace in sorted(scope.items()):
        if there.get(name) != namespace:
            element.setAttributeNS(_XMLNS, name, namespace)


def _description(document: minidom.Document, rdf: minidom.Element) -> minidom.Element:
    """A new description with all prefixes that are needed, about the same thing as those that are there."""
    about = next((node.getAttributeNS(RDF, "about") for node in descriptions(rdf)), "")
    description = document.createElementNS(RDF, "rdf:Description")
    spaces = {"rdf": RDF, "dc": _DC, "Iptc4xmpExt": _IPTC, "xmpMM": _MM, "stRef": _REF, "stEvt": _EVENT}
    for prefix, namespace in spaces.items():
        description.setAttributeNS(_XMLNS, f"xmlns:{prefix}", namespace)
    description.setAttributeNS(RDF, "rdf:about", about)
    rdf.appendChild(description)
    return description


class _Adder:
    """Adds properties to one description."""

    def __init__(self, document: minidom.Document, description: minidom.Element) -> None:
        self._document, self._description = document, description

    def text(self, namespace: str, name: str, value: str) -> None:
        self._text_in(self._description, namespace, name, value)

    def array(self, name: str, kind: str) -> minidom.Element:
        node = self._document.createElementNS(_MM, name)
        items = self._document.createElementNS(RDF, f"rdf:{kind}")
        node.appendChild(items)
        self._description.appendChild(node)
        return items

    def structure(
        self, parent: minidom.Element, name: str, namespace: str, prefix: str, fields: dict[str, str]
    ) -> None:
        node = self._document.createElementNS(RDF if name == "rdf:li" else _MM, name)
        node.setAttributeNS(RDF, "rdf:parseType", "Resource")
        for field, value in sorted(fields.items()):
            self._text_in(node, namespace, f"{prefix}:{field}", value)
        parent.appendChild(node)

    def _text_in(self, parent: minidom.Element, namespace: str, name: str, value: str) -> None:
        node = self._document.createElementNS(namespace, name)
        node.appendChild(self._document.createTextNode(_clean(value)))
        parent.appendChild(node)


def _clean(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
