"""Pictures put in the place of scans; what other pages share with a page is copied before it is changed."""

import pikepdf

from storage.documents.drawings import Drawing, content_of, page_resources
from storage.documents.placing import Box, Matrix, bounds, inverse, multiply
from storage.documents.rewriting import Rewriting, copied_stream
from storage.documents.scans import Scan

_KEPT = (
    "/Intent",
    "/Interpolate",
    "/OC",
    "/StructParent",
    "/SMask",
    "/Mask",
    "/Metadata",
    "/AF",
    "/Measure",
    "/PtData",
)
"""What is said of an image and stays true of its picture in colour."""
_MARGIN = 0.5
"""Units of user space by which a clip may cut into a picture that it was not made for."""


def replace_scan(pdf: pikepdf.Pdf, page: pikepdf.Page, scan: Scan, picture: pikepdf.Stream) -> None:
    """Draw ``picture`` where the page's scan was; everything else of the page stays.

    One image is exchanged in the resources that it is drawn from. Several are taken out of the operators, and the
    picture is put where the first one was, so that what was hidden or visible stays so.
    """
    if scan.image is None:
        _replace_all(pdf, page, scan, picture)
    else:
        for key in _KEPT:
            value = None if scan.image.is_stencil and key == "/Mask" else scan.image.stream.get(key)
            if value is not None:
                picture[key] = value
        _replace_one(pdf, page, scan.drawing, picture)
    if "/Thumb" in page.obj:
        del page.obj["/Thumb"]


def _replace_one(pdf: pikepdf.Pdf, page: pikepdf.Page, drawing: Drawing, picture: pikepdf.Stream) -> None:
    names = [step.name for step in drawing.steps]
    resources = _copied(page_resources(page))
    page.obj["/Resources"] = resources
    holder: pikepdf.Object = page.obj
    for name in names[:-1]:
        objects = _copied(resources.get("/XObject"))
        resources["/XObject"] = objects
        assert name is not None
        form = objects[name]
        assert isinstance(form, pikepdf.Stream)
        form = pdf.make_indirect(copied_stream(pdf, form))
        objects[name] = form
        own = form.get("/Resources")
        resources = _copied(own if isinstance(own, pikepdf.Dictionary) else resources)
        form["/Resources"] = resources
        holder = form
    objects = _copied(resources.get("/XObject"))
    resources["/XObject"] = objects
    name = names[-1]
    if name is None:
        name = _new_name(objects)
        _exchange_inline(pdf, holder, drawing.steps[-1].place, name)
    objects[name] = picture


def _exchange_inline(pdf: pikepdf.Pdf, holder: pikepdf.Object, place: int, name: str) -> None:
    """Draw the object ``name`` where an inline image is."""
    is_form = isinstance(holder, pikepdf.Stream)
    content = holder.read_bytes() if is_form else content_of(holder.get("/Contents"))
    fresh = Rewriting(pdf, images=True).with_inline_exchanged(content, place, name)
    if is_form:
        holder.write(fresh)
    else:
        holder["/Contents"] = pdf.make_stream(fresh)


def _replace_all(pdf: pikepdf.Pdf, page: pikepdf.Page, scan: Scan, picture: pikepdf.Stream) -> None:
    first = scan.drawing.steps[0]
    if first.clip is not None and not _contains(first.clip, bounds(scan.matrix)):
        first = scan.drawing.outermost
    back: Matrix | None = inverse(first.matrix)
    assert back is not None
    matrix = multiply(scan.matrix, back)

    def insert(resources: pikepdf.Dictionary) -> tuple[int, bytes]:
        objects = _copied(resources.get("/XObject"))
        name = _new_name(objects)
        objects[name] = picture
        resources["/XObject"] = objects
        plain = b""
        if first.blended:
            states = _copied(resources.get("/ExtGState"))
            state = _new_name(states)
            states[state] = pikepdf.Dictionary(Type=pikepdf.Name.ExtGState, ca=1, BM=pikepdf.Name.Normal)
            states[state]["/SMask"] = pikepdf.Name("/None")
            resources["/ExtGState"] = states
            plain = f"{state} gs ".encode()
        numbers = " ".join(_number(part) for part in matrix)
        return first.place, b"q " + plain + f"{numbers} cm {name} Do Q".encode()

    content, resources = Rewriting(pdf, images=False).page(page, insert)
    page.obj["/Contents"] = pdf.make_stream(content)
    page.obj["/Resources"] = resources


def _copied(dictionary: pikepdf.Object | None) -> pikepdf.Dictionary:
    """A dictionary of its own with the same entries."""
    return pikepdf.Dictionary(dict(dictionary.items()) if isinstance(dictionary, pikepdf.Dictionary) else {})


def _new_name(taken: pikepdf.Dictionary) -> str:
    number = 0
    while f"/Colour{number}" in taken:
        number += 1
    return f"/Colour{number}"


def _contains(outer: Box, inner: Box) -> bool:
    return (
        outer[0] <= inner[0] + _MARGIN
        and outer[1] <= inner[1] + _MARGIN
        and outer[2] >= inner[2] - _MARGIN
        and outer[3] >= inner[3] - _MARGIN
    )


def _number(value: float) -> str:
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
