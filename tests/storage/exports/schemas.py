"""The schema of PREMIS 3.0 as the Library of Congress publishes it."""

from pathlib import Path

from lxml import etree

from storage.exports.premis import NAMESPACE

PREMIS_XSD = Path(__file__).parents[2] / "data" / "premis-v3-0.xsd"
NAMES = {"p": NAMESPACE, "ac": "urn:archive-colorizer:provenance:1", "xsi": "http://www.w3.org/2001/XMLSchema-instance"}


def read_premis(path: Path) -> etree._ElementTree:
    """The document; fails where the schema does not hold, or where a link leads to nothing."""
    document = etree.parse(path)
    schema = etree.XMLSchema(etree.parse(PREMIS_XSD))
    assert schema.validate(document), schema.error_log
    for kind, links in {
        "object": ("linkingObject", "relatedObject"),
        "event": ("linkingEvent", "relatedEvent"),
        "agent": ("linkingAgent",),
        "rightsStatement": ("linkingRightsStatement",),
    }.items():
        known = texts(document, f"//p:{kind}Identifier/p:{kind}IdentifierValue")
        assert len(known) == len(set(known)), f"an identifier of two {kind}s"
        for link in links:
            assert set(texts(document, f"//p:{link}IdentifierValue")) <= set(known)
    return document


def texts(document: etree._ElementTree | etree._Element, path: str) -> list[str]:
    """The texts of all elements at an XPath; `p` is PREMIS, `ac` the namespace of this program."""
    return [str(element.text or "") for element in document.xpath(path, namespaces=NAMES)]
