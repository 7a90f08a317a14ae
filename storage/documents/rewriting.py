"""A page's operators without its images, or with nothing but them."""

import warnings
from collections.abc import Callable, Sequence

import pikepdf
from pikepdf.settings import qpdf_limit_errors

from storage.documents.drawings import INLINE, WATCHED, content_of, page_resources, resource
from storage.images.records import Refusal

_PAINTING = frozenset({"f", "F", "f*", "B", "B*", "b", "b*", "S", "s"})
_SHOWING = frozenset({"Tj", "TJ", "'", '"', "sh"})
_MAX_DEPTH = 12
_MAX_FORMS = 500
_WATCHED = frozenset(WATCHED.split()) - {"BI", "ID", "EI"} | {INLINE}


class Rewriting:
    """Goes through a page's operators and those of its forms and makes new ones of them, leaving the old alone."""

    def __init__(self, pdf: pikepdf.Pdf, *, images: bool) -> None:
        """``images`` says what is left: the images alone, or everything but them."""
        self._pdf = pdf
        self._images = images
        self._forms = 0

    def page(
        self, page: pikepdf.Page, insert: Callable[[pikepdf.Dictionary], tuple[int, bytes]] | None = None
    ) -> tuple[bytes, pikepdf.Dictionary]:
        """The page's new operators and resources.

        ``insert`` is given the new resources and says before which watched operator what operators are put in.
        """
        content = content_of(page.obj.get("/Contents"))
        resources = page_resources(page)
        fresh = self._resources(resources, 0)
        place, inserted = (-1, b"") if insert is None else insert(fresh)
        return self._content(content, resources, place, inserted), fresh

    def with_inline_exchanged(self, content: bytes, place: int, name: str) -> bytes:
        """Operators with the object ``name`` drawn instead of the inline image at a place."""
        fresh: list[pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage] = []
        watched = -1
        for instruction in _whole(pikepdf.Stream(self._pdf, content)):
            watched += str(instruction.operator) in _WATCHED
            if watched == place and isinstance(instruction, pikepdf.ContentStreamInlineImage):
                instruction = pikepdf.ContentStreamInstruction([pikepdf.Name(name)], pikepdf.Operator("Do"))
            fresh.append(instruction)
        return pikepdf.unparse_content_stream(fresh)

    def _content(self, content: bytes, resources: pikepdf.Dictionary, place: int = -1, inserted: bytes = b"") -> bytes:
        stream = pikepdf.Stream(self._pdf, content)
        parts: list[bytes] = []
        kept: list[pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage] = []
        watched = -1
        for instruction in _whole(stream):
            operator = str(instruction.operator)
            watched += operator in _WATCHED
            if watched == place and inserted:
                parts += [pikepdf.unparse_content_stream(kept), inserted]
                kept, inserted = [], b""
            changed = self._changed(instruction, operator, resources)
            if changed is not None:
                kept.append(changed)
        parts.append(pikepdf.unparse_content_stream(kept))
        return b"\n".join(part for part in parts if part)

    def _changed(
        self,
        instruction: pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage,
        operator: str,
        resources: pikepdf.Dictionary,
    ) -> pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage | None:
        if operator == INLINE:
            return instruction if self._images else None
        if operator == "Do" and len(instruction.operands):
            drawn = resource(resources, "/XObject", str(instruction.operands[0]))
            is_image = isinstance(drawn, pikepdf.Stream) and drawn.get("/Subtype") == pikepdf.Name.Image
            return None if is_image and not self._images else instruction
        if self._images and operator in _SHOWING:
            return None
        if self._images and operator in _PAINTING:
            return pikepdf.ContentStreamInstruction([], pikepdf.Operator("n"))
        return instruction

    def _resources(self, resources: pikepdf.Dictionary, depth: int) -> pikepdf.Dictionary:
        """A copy in which images are left out or kept and forms are rewritten."""
        fresh = pikepdf.Dictionary(dict(resources.items()))
        objects = resources.get("/XObject")
        if not isinstance(objects, pikepdf.Dictionary):
            return fresh
        kept = pikepdf.Dictionary()
        for name, drawn in objects.items():
            if isinstance(drawn, pikepdf.Stream) and drawn.get("/Subtype") == pikepdf.Name.Form:
                kept[name] = self._form(drawn, resources, depth + 1)
            elif not isinstance(drawn, pikepdf.Stream) or self._images:
                kept[name] = drawn
        fresh["/XObject"] = kept
        return fresh

    def _form(self, form: pikepdf.Stream, around: pikepdf.Dictionary, depth: int) -> pikepdf.Stream:
        self._forms += 1
        if depth > _MAX_DEPTH or self._forms > _MAX_FORMS:
            raise Refusal("has a page that draws too much to be a scan", "too_large")
        own = form.get("/Resources")
        resources = own if isinstance(own, pikepdf.Dictionary) else around
        fresh = copied_stream(self._pdf, form, self._content(form.read_bytes(), resources))
        fresh["/Resources"] = self._resources(resources, depth)
        return self._pdf.make_indirect(fresh)


def _whole(
    content: pikepdf.Stream,
) -> Sequence[pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage]:
    """All operators; raises ``Refusal`` where the library gave up in the middle, for what follows would be lost."""
    before = qpdf_limit_errors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        operators = pikepdf.parse_content_stream(content)
    if caught or qpdf_limit_errors() != before:
        raise Refusal("is damaged: the operators of a page cannot be read to their end", "unreadable")
    return operators


def copied_stream(pdf: pikepdf.Pdf, stream: pikepdf.Stream, data: bytes | None = None) -> pikepdf.Stream:
    """A stream of its own with the same dictionary, and with the same bytes or with others that are not packed."""
    fresh = pikepdf.Stream(pdf, stream.read_raw_bytes() if data is None else data)
    for key, value in stream.items():
        if key != "/Length" and (data is None or key not in ("/Filter", "/DecodeParms")):
            fresh[key] = value
    return fresh
