"""What a page draws (ISO 32000-1, 8 and 9): its images with their places, and whether there is text or line work."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pikepdf

from storage.documents.placing import IDENTITY, Box, Matrix, bounds, common, is_sane, multiply
from storage.documents.placing import around as encompass
from storage.images.records import Refusal

CONTENT_BYTES = 1 << 22
"""How long the drawing of a page may be, with that of its forms; scans with the text of a newspaper page take 1 MB."""
_MAX_FORMS = 500
_MAX_DEPTH = 12
_MAX_IMAGES = 5000
_STACK = 512

_STATE = "q Q cm gs Tr g rg k cs sc scn re W W* n"
_PAINTING = "f F f* B B* b b* S s sh"
_TEXT = "Tj TJ ' \""
WATCHED = f"{_STATE} {_PAINTING} {_TEXT} Do BI ID EI"
"""The operators that are looked at; a ``place`` counts these."""
INLINE = "INLINE IMAGE"
_HIDDEN_TEXT = (3, 7)
"""Text rendering modes that paint nothing (ISO 32000-1, table 106)."""


@dataclass(frozen=True)
class Step:
    """An operator that draws something, in the page itself or in a form: its place and the state it meets.

    ``place`` counts the watched operators of its content stream; ``clip`` is what is let through, as far as it is
    made of rectangles, in default user space.
    """

    place: int
    name: str | None
    matrix: Matrix
    clip: Box | None
    blended: bool


@dataclass(frozen=True)
class Drawing:
    """An image on a page. ``steps`` lead to it, the last one draws it, those before it the forms that it lies in."""

    image: pikepdf.Stream
    steps: tuple[Step, ...]
    black_fill: bool
    outermost: Step
    """Where the outermost group of the page's own operators around it begins."""

    @property
    def matrix(self) -> Matrix:
        """From the unit square to default user space."""
        return self.steps[-1].matrix

    @property
    def box(self) -> Box:
        """What is seen of it, as far as it is cut by rectangles."""
        box, clip = bounds(self.matrix), self.steps[-1].clip
        return box if clip is None else common(box, clip)


@dataclass
class PageDrawing:
    """All that is told of a page's drawing."""

    images: list[Drawing] = field(default_factory=list)
    has_visible_text: bool = False
    has_text: bool = False
    has_lines: bool = False
    lacks_objects: bool = False


@dataclass(frozen=True)
class _State:
    """The part of the graphics state that matters here."""

    matrix: Matrix
    clip: Box | None = None
    black_fill: bool = True
    device_fill: bool = True
    text_mode: int = 0
    blended: bool = False


def look_through(pdf: pikepdf.Pdf, page: pikepdf.Page) -> PageDrawing:
    """What the page draws; raises ``Refusal`` "too_large" where its operators are too many to be those of a scan."""
    walk = _Walk(pdf)
    walk.content(content_of(page.obj.get("/Contents")), page_resources(page), _State(IDENTITY), (), None)
    return walk.found


def page_resources(page: pikepdf.Page) -> pikepdf.Dictionary:
    """Its own resources or those it inherits; empty where it has none."""
    found = page.obj.get("/Resources")
    return found if isinstance(found, pikepdf.Dictionary) else pikepdf.Dictionary()


def content_of(contents: pikepdf.Object | None) -> bytes:
    """The operators of a page, in one stream or in several that count as one."""
    if isinstance(contents, pikepdf.Stream):
        parts: list[pikepdf.Object] = [contents]
    elif isinstance(contents, pikepdf.Array):
        parts = [part for part in list(contents)[:10_000] if isinstance(part, pikepdf.Stream)]
    else:
        return b""
    whole = bytearray()
    for part in parts:
        whole += part.read_bytes() + b"\n"
        if len(whole) > CONTENT_BYTES:
            raise _too_long()
    return bytes(whole)


def resource(resources: pikepdf.Dictionary, kind: str, name: str) -> pikepdf.Object | None:
    """One entry of a category of the resources; None if there is none."""
    group = resources.get(kind)
    return group.get(name) if isinstance(group, pikepdf.Dictionary) else None


def inline_stream(
    pdf: pikepdf.Pdf, instruction: pikepdf.ContentStreamInlineImage, resources: pikepdf.Dictionary
) -> pikepdf.Stream:
    """An image between operators as the image object that it stands for."""
    inline = instruction.iimage
    stream = pikepdf.Stream(pdf, inline.read_raw_bytes())
    for key, value in inline.obj.items():
        stream[key] = value
    space = inline.obj.get("/ColorSpace")
    if isinstance(space, pikepdf.Name):
        named = resource(resources, "/ColorSpace", str(space))
        if named is not None:
            stream["/ColorSpace"] = named
    return stream


class _Walk:
    """Goes through the operators of a page and of the forms that it draws."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self.found = PageDrawing()
        self._pdf = pdf
        self._forms = 0
        self._bytes = 0

    def content(
        self,
        content: bytes,
        resources: pikepdf.Dictionary,
        state: _State,
        before: tuple[Step, ...],
        around: Step | None,
    ) -> None:
        """Note what one content stream draws.

        ``before`` are the steps that led to it, ``around`` is where the page's outermost group around them begins.
        """
        self._bytes += len(content)
        if self._bytes > CONTENT_BYTES:
            raise _too_long()
        stack: list[tuple[_State, Step]] = []
        rectangle: Box | None = None
        clipping = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # operators that break off; what comes before them counts
            operators = pikepdf.parse_content_stream(pikepdf.Stream(self._pdf, content), WATCHED)
        for place, instruction in enumerate(operators):
            operator = str(instruction.operator)
            step = Step(place, None, state.matrix, state.clip, state.blended)
            if operator == "q":
                if len(stack) < _STACK:
                    stack.append((state, step))
            elif operator == "Q":
                if stack:
                    state = stack.pop()[0]
            elif operator == "re":
                added = _rectangle(instruction.operands, state)
                rectangle = added if rectangle is None or added is None else encompass([rectangle, added])
            elif operator in ("W", "W*"):
                clipping = True
            elif operator in _PAINTING.split() or operator == "n":
                self.found.has_lines |= operator != "n"
                if clipping and rectangle is not None:
                    clip = rectangle if state.clip is None else common(state.clip, rectangle)
                    state = replace(state, clip=clip)
                rectangle, clipping = None, False
            elif operator in _TEXT.split():
                self.found.has_text = True
                self.found.has_visible_text |= state.text_mode not in _HIDDEN_TEXT
            elif isinstance(instruction, pikepdf.ContentStreamInlineImage):
                image = inline_stream(self._pdf, instruction, resources)
                self._image(image, state, (*before, step), around or _outermost(stack, step))
            elif operator == "Do":
                outer = around or _outermost(stack, step)
                self._object(instruction.operands, resources, state, (*before, step), outer)
            else:
                state = _changed(state, operator, instruction.operands)

    def _object(
        self,
        operands: Iterable[object],
        resources: pikepdf.Dictionary,
        state: _State,
        steps: tuple[Step, ...],
        around: Step,
    ) -> None:
        name = next((str(operand) for operand in operands), "")
        found = resource(resources, "/XObject", name)
        if not isinstance(found, pikepdf.Stream):
            self.found.lacks_objects = True
            return
        steps = (*steps[:-1], replace(steps[-1], name=name))
        if found.get("/Subtype") == pikepdf.Name.Image:
            self._image(found, state, steps, around)
        elif found.get("/Subtype") == pikepdf.Name.Form and len(steps) <= _MAX_DEPTH:
            self._forms += 1
            if self._forms > _MAX_FORMS:
                raise _too_long()
            matrix = multiply(matrix_of(found.get("/Matrix")) or IDENTITY, state.matrix)
            own = found.get("/Resources")
            inner = own if isinstance(own, pikepdf.Dictionary) else resources
            self.content(found.read_bytes(), inner, replace(state, matrix=matrix), steps, around)

    def _image(self, image: pikepdf.Stream, state: _State, steps: tuple[Step, ...], around: Step) -> None:
        if len(self.found.images) >= _MAX_IMAGES:
            raise _too_long()
        if not is_sane(state.matrix):
            return
        self.found.images.append(Drawing(image, steps, state.black_fill, around))


def _outermost(stack: list[tuple[_State, Step]], step: Step) -> Step:
    return stack[0][1] if stack else step


def _rectangle(operands: Iterable[object], state: _State) -> Box | None:
    values = numbers(tuple(operands), 4)
    if values is None:
        return None
    x, y, width, height = values
    return bounds(state.matrix, (x, y, x + width, y + height))


def numbers(values: object, count: int) -> tuple[float, ...] | None:
    """So many numbers of an array or of operands; None if it is anything else."""
    if not isinstance(values, pikepdf.Array | list | tuple) or len(values) < count:
        return None
    try:
        return tuple(float(value) for value in list(values)[:count])
    except (TypeError, ValueError):
        return None


def matrix_of(values: object) -> Matrix | None:
    """Six numbers as a matrix; None if it is anything else."""
    found = numbers(values, 6)
    return None if found is None else (found[0], found[1], found[2], found[3], found[4], found[5])


def _changed(state: _State, operator: str, given: Iterable[object]) -> _State:
    """The graphics state after an operator that draws nothing."""
    operands = tuple(given)
    if operator == "cm":
        matrix = matrix_of(operands)
        return state if matrix is None else replace(state, matrix=multiply(matrix, state.matrix))
    if operator == "gs":
        return replace(state, blended=True)
    if operator == "Tr":
        mode = numbers(operands, 1)
        return state if mode is None else replace(state, text_mode=int(mode[0]))
    if operator == "cs":
        name = str(operands[0]) if operands else ""
        device = name in ("/DeviceGray", "/DeviceRGB")
        return replace(state, black_fill=device or name == "/DeviceCMYK", device_fill=device)
    count = {"g": 1, "rg": 3, "k": 4}.get(operator, len(operands))
    values = numbers(operands, count)
    if operator in ("g", "rg"):
        return replace(state, black_fill=values is not None and max(values) <= 0.1, device_fill=True)
    if operator == "k":
        dark = values is not None and (values[3] >= 0.9 or min(values[:3]) >= 0.9)
        return replace(state, black_fill=dark, device_fill=False)
    if operator in ("sc", "scn"):
        dark = state.device_fill and bool(values) and max(values or (1.0,)) <= 0.1
        return replace(state, black_fill=dark)
    return state


def _too_long() -> Refusal:
    return Refusal("has a page that draws too much to be a scan; convert that page to a picture first", "too_large")
