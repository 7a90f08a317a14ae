"""What is no whole document is refused in plain words, fast, and without taking memory."""

import os
import random
import resource
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from storage.documents import PagePicture, document_notes, identify_document, read_page, write_document
from storage.images.records import Refusal
from storage.images.srgb import srgb_profile
from tests.storage.documents.documents import (
    FULL_PAGE,
    add_page,
    colours,
    document,
    flate,
    grey_jpeg,
    image,
    jpeg,
    jpx,
    photograph,
)

SLUGS = {"empty", "truncated", "not_an_image", "too_large", "unsupported", "unreadable"}


def refusal(path: Path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        identify_document(path)
    assert "\n" not in caught.value.detail
    assert caught.value.error_type in SLUGS
    return caught.value


def test_what_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    assert refusal(path).error_type == "unreadable"
    path.touch()
    assert refusal(path).error_type == "empty"
    path.write_text("Box 12: letters\n")
    assert refusal(path).error_type == "not_an_image"
    assert "it contains text" in refusal(path).detail
    assert refusal(tmp_path).error_type == "not_an_image"
    os.mkfifo(tmp_path / "b.pdf")
    assert refusal(tmp_path / "b.pdf").error_type == "not_an_image"
    path.write_bytes(b"%PDF-1.4\nnothing\n%%EOF\n")
    assert refusal(path).error_type == "unreadable"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("linear", [False, True])
def test_a_document_that_is_cut_off(tmp_path: Path, share: float, linear: bool) -> None:
    content = document(tmp_path / "a.pdf", grey_jpeg, grey_jpeg, linearize=linear).read_bytes()
    (tmp_path / "a.pdf").write_bytes(content[: int(len(content) * share)])
    assert refusal(tmp_path / "a.pdf").error_type == "truncated"


def test_pages_that_are_gone_are_missed(tmp_path: Path) -> None:
    """The library repairs the table of objects; a page whose object is lost is not passed over in silence."""
    content = document(
        tmp_path / "a.pdf", grey_jpeg, grey_jpeg, object_stream_mode=pikepdf.ObjectStreamMode.disable
    ).read_bytes()
    with pikepdf.open(tmp_path / "a.pdf") as pdf:
        number = pdf.pages[1].obj.objgen[0]
    lost = content.replace(f"\n{number} 0 obj".encode(), f"\n{number} 0 odd".encode())
    (tmp_path / "a.pdf").write_bytes(lost.replace(b"startxref", b"startyref"))
    assert "pages are missing, only 1 can be found" in refusal(tmp_path / "a.pdf").detail


def test_a_damaged_page_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": grey_jpeg(pdf)})
        add_page(pdf, {"Im0": image(pdf, b"", 0, 180, Name.DeviceGray)})
        add_page(pdf, {})
        add_page(pdf, {"Im0": image(pdf, b"", 1 << 21, 2, Name.DeviceGray)})
        pdf.save(tmp_path / "a.pdf")
    pages = identify_document(tmp_path / "a.pdf")
    assert [page.error_type for page in pages] == [None, "unreadable", "truncated", "too_large"]
    assert [page.reason for page in pages][:3] == [
        None,
        "the page is damaged: a picture in it has no size; copy it again from its source",
        "the page is damaged: a picture that it draws is missing; copy it again from its source",
    ]
    for number in (2, 3, 4):
        with pytest.raises(Refusal) as caught:
            read_page(tmp_path / "a.pdf", number, max_pixels=10**9)
        assert caught.value.error_type == pages[number - 1].error_type
    assert read_page(tmp_path / "a.pdf", 1, max_pixels=10**6).samples.space == "grey"


def test_operators_that_break_off_are_not_rewritten(tmp_path: Path) -> None:
    """What follows them would be missing from the coloured page."""
    with pikepdf.new() as pdf:
        halves = {f"Im{top}": flate(pdf, photograph()[top : top + 90], Name.DeviceGray) for top in (0, 90)}
        content = "q 240 0 0 90 0 90 cm /Im0 Do Q q 240 0 0 90 0 0 cm /Im90 Do Q "
        add_page(pdf, halves, content + "<< /A " * 600 + " BT ET")
        add_page(pdf, halves, content + "(A letter of")
        pdf.save(tmp_path / "a.pdf", compress_streams=False)
    (tmp_path / "b.pdf").touch()
    for page in (1, 2):
        pictures = {page: PagePicture(colours(), srgb_profile(), True)}
        with pytest.raises(Refusal, match="cannot be read to their end"):
            write_document(tmp_path / "b.pdf", tmp_path / "a.pdf", pictures, xmp=lambda _: b"<x/>", quality=None)


def test_too_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.documents.opening.MAX_PAGES", 2)
    assert len(identify_document(document(tmp_path / "a.pdf", grey_jpeg, grey_jpeg))) == 2
    assert refusal(document(tmp_path / "a.pdf", grey_jpeg, grey_jpeg, grey_jpeg)).error_type == "too_large"


def test_a_broken_table_of_objects_is_repaired_and_told(tmp_path: Path) -> None:
    content = document(tmp_path / "a.pdf", grey_jpeg, grey_jpeg).read_bytes()
    (tmp_path / "a.pdf").write_bytes(content.replace(b"startxref\n", b"startxref\n7"))
    assert [page.facts is not None for page in identify_document(tmp_path / "a.pdf")] == [True, True]
    assert any("slightly damaged" in note for note in document_notes(tmp_path / "a.pdf"))


def test_protection(tmp_path: Path) -> None:
    document(tmp_path / "a.pdf", grey_jpeg, encryption=pikepdf.Encryption(owner="o", user="u"))
    assert refusal(tmp_path / "a.pdf").error_type == "unsupported"
    assert "password" in refusal(tmp_path / "a.pdf").detail
    document(tmp_path / "a.pdf", grey_jpeg, encryption=pikepdf.Encryption(owner="o", user=""))
    assert any("not protected" in note for note in document_notes(tmp_path / "a.pdf"))
    (tmp_path / "b.pdf").touch()
    pictures = {1: PagePicture(colours(), srgb_profile(), True)}
    write_document(tmp_path / "b.pdf", tmp_path / "a.pdf", pictures, xmp=lambda _: b"<x/>", quality=None)
    with pikepdf.open(tmp_path / "b.pdf") as pdf:
        assert not pdf.is_encrypted
    assert np.array_equal(read_page(tmp_path / "b.pdf", 1, max_pixels=10**6).samples.colour, colours())


def test_what_people_should_know_is_noted(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": grey_jpeg(pdf)})
        pdf.Root.AcroForm = Dictionary(SigFlags=3, XFA=pdf.make_stream(b"<x/>"), Fields=Array())
        pdf.Root.Collection = Dictionary()
        pdf.Root.OutputIntents = Array([])
        pdf.save(tmp_path / "a.pdf")
    notes = " ".join(document_notes(tmp_path / "a.pdf"))
    assert all(word in notes for word in ("signed", "XFA", "portfolio", "standard"))
    assert document_notes(document(tmp_path / "b.pdf", grey_jpeg)) == ()


@cache
def bomb() -> bytes:
    """Half a gigabyte of blanks, packed."""
    packer = zlib.compressobj(1)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(512)) + packer.flush()


def bomb_as_content(pdf: pikepdf.Pdf) -> None:
    page = add_page(pdf, {"Im0": grey_jpeg(pdf)})
    page.obj.Contents = pdf.make_stream(bomb(), Filter=Name.FlateDecode)


def bomb_as_image(pdf: pikepdf.Pdf) -> None:
    add_page(pdf, {"Im0": image(pdf, bomb(), 240, 180, Name.DeviceGray, Filter=Name.FlateDecode)})


def bomb_around_a_jpeg(pdf: pikepdf.Pdf) -> None:
    filters = Array([Name.FlateDecode, Name.DCTDecode])
    add_page(pdf, {"Im0": image(pdf, bomb(), 240, 180, Name.DeviceGray, Filter=filters)})


def bomb_as_palette(pdf: pikepdf.Pdf) -> None:
    palette = pdf.make_stream(bomb(), Filter=Name.FlateDecode)
    add_page(pdf, {"Im0": flate(pdf, photograph(), Array([Name.Indexed, Name.DeviceRGB, 255, palette]))})


def bomb_as_profile(pdf: pikepdf.Pdf) -> None:
    profile = pdf.make_stream(bomb(), Filter=Name.FlateDecode, N=1)
    add_page(pdf, {"Im0": flate(pdf, photograph(), Array([Name.ICCBased, profile]))})


def forms_that_draw_forms(pdf: pikepdf.Pdf) -> None:
    inner = grey_jpeg(pdf)
    for _ in range(10):
        content = b"/Deep Do " * 10
        resources = Dictionary(XObject=Dictionary(Deep=inner))
        inner = pdf.make_stream(content, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 1, 1], Resources=resources)
    add_page(pdf, {"Fm": inner}, "240 0 0 180 0 0 cm /Fm Do")


def a_form_that_draws_itself(pdf: pikepdf.Pdf) -> None:
    form = pdf.make_stream(b"/Fm Do /Fm Do", Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 1, 1]))
    form.Resources = Dictionary(XObject=Dictionary(Fm=form))
    add_page(pdf, {"Fm": form, "Im0": grey_jpeg(pdf)}, f"/Fm Do {FULL_PAGE}")


def a_fine_speck_on_a_page(pdf: pikepdf.Pdf) -> None:
    speck = flate(pdf, photograph(), Name.DeviceGray)
    content = "q 240 0 0 90 0 0 cm /Im0 Do Q q 240 0 0 90 0 90 cm /Im0 Do Q q .01 0 0 .01 9 9 cm /Speck Do Q"
    add_page(pdf, {"Im0": grey_jpeg(pdf), "Speck": speck}, content)


def one_picture_many_times(pdf: pikepdf.Pdf) -> None:
    scan = image(pdf, jpeg(photograph(1000, 900)), 1000, 900, Name.DeviceGray, Filter=Name.DCTDecode)
    add_page(pdf, {"Im0": scan}, f"{FULL_PAGE} " * 300)


HARMFUL: list[Callable[[pikepdf.Pdf], None]] = [
    bomb_as_content,
    bomb_as_image,
    bomb_around_a_jpeg,
    bomb_as_palette,
    bomb_as_profile,
    forms_that_draw_forms,
    a_form_that_draws_itself,
    a_fine_speck_on_a_page,
    one_picture_many_times,
]


@pytest.mark.parametrize("make", HARMFUL)
def test_harmful_documents_take_neither_time_nor_memory(tmp_path: Path, make: Callable[[pikepdf.Pdf], None]) -> None:
    with pikepdf.new() as pdf:
        make(pdf)
        pdf.save(tmp_path / "a.pdf")
    allowed = 3 << 27
    child = os.fork()
    if not child:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - nothing to be looked up in the child
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + allowed, used + allowed))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        try:
            identify_document(tmp_path / "a.pdf")
            read_page(tmp_path / "a.pdf", 1, max_pixels=10**6)
        except Refusal as refused:
            os._exit(0 if refused.error_type in SLUGS and "memory" not in refused.detail else 1)
        except BaseException:
            os._exit(2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_mutated_documents_are_read_or_refused(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        add_page(pdf, {"Im0": grey_jpeg(pdf)})
        add_page(pdf, {"Im0": image(pdf, jpx(photograph()), 240, 180, None, None, Filter=Name.JPXDecode)})
        halves = {f"Im{top}": flate(pdf, photograph()[top : top + 90], Name.DeviceGray) for top in (0, 90)}
        add_page(pdf, halves, "q 240 0 0 90 0 90 cm /Im0 Do Q q 240 0 0 90 0 0 cm /Im90 Do Q")
        pdf.save(tmp_path / "whole.pdf", object_stream_mode=pikepdf.ObjectStreamMode.disable)
    whole = (tmp_path / "whole.pdf").read_bytes()
    chance, path, outcomes = random.Random(7), tmp_path / "a.pdf", set()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 4, 16])):
            place = chance.randrange(len(content))
            if chance.random() < 0.5:
                content[place] = chance.randrange(256)
            else:
                del content[place : place + chance.randrange(1, 40)]
        path.write_bytes(content)
        try:
            for number, page in enumerate(identify_document(path), start=1):
                if page.facts is not None:
                    outcomes.add(read_page(path, number, max_pixels=10**6).samples.space)
        except Refusal as refused:
            outcomes.add("many lines" if "\n" in refused.detail else refused.error_type)
    assert outcomes <= SLUGS | {"grey", "rgb", "cmyk"}
    assert {"grey", "unreadable", "truncated"} <= outcomes
