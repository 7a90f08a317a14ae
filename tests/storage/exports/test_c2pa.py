"""Content Credentials: signed copies that a verifier takes, and that a changed byte breaks."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pytest
import tifffile
from c2pa import Reader
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image

from storage.errors import StorageError
from storage.exports.c2pa_signing import C2paSigner, CannotSign, Ingredient, Making, check_copy
from storage.exports.signing_key import UnusableKey, read_signing_key
from storage.masters import read_master
from tests.storage.documents.documents import colours, jpeg, photograph
from tests.storage.exports.certificates import Signing, make_signing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANIFEST_STORE = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def signer(folder: Path, algorithm: str = "es256", **changes: Any) -> C2paSigner:
    return signer_with(make_signing(folder, algorithm, **changes), algorithm)


def signer_with(signing: Signing, algorithm: str = "es256", timestamp_url: str | None = None) -> C2paSigner:
    key = read_signing_key(signing.key, signing.chain, algorithm)
    return C2paSigner(key, "archive-colorizer", "0.2.0", timestamp_url)


def making(*ingredients: Ingredient) -> Making:
    return Making(
        software="archive-colorizer",
        version="0.1.0",
        when=NOON,
        description="Colours added",
        digital_source_type=SOURCE_TYPE,
        ingredients=ingredients
        or (
            Ingredient(relationship="parentOf", title="plate.tif", sha256="a" * 64),
            Ingredient(relationship="inputTo", title="meadow.jpg", sha256="b" * 64),
        ),
        parameters={"network_size": 512, "weights_sha256": "c" * 64, "temperature": 0.02, "steady": True},
    )


def manifest_of(path: Path, media_type: str) -> dict[str, Any]:
    with path.open("rb") as file, Reader(media_type, file) as reader:
        manifests = json.loads(reader.json())
    found: dict[str, Any] = manifests["manifests"][manifests["active_manifest"]]
    return found


def action(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    actions = [
        one
        for assertion in manifest["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for one in assertion["data"]["actions"]
    ]
    return next(one for one in actions if one["action"] == name)


def write_tiff(path: Path, **options: Any) -> None:
    tifffile.imwrite(path, colours(depth=16), photometric="rgb", rowsperstrip=16, compression="zlib", **options)


def write_pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for depth in (8, 16):
            writer.write(colours(depth=depth), photometric="rgb", rowsperstrip=16, description=f"leaf {depth}")


def write_pdf(path: Path) -> None:
    pdf = pikepdf.new()
    for _ in range(2):
        page = pdf.add_blank_page(page_size=(120, 90))
        scan = pdf.make_stream(
            jpeg(colours()), Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=240, Height=180,
            ColorSpace=pikepdf.Name.DeviceRGB, BitsPerComponent=8, Filter=pikepdf.Name.DCTDecode,
        )  # fmt: skip
        page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Scan=scan))
        page.Contents = pdf.make_stream(b"q 120 0 0 90 0 0 cm /Scan Do Q")
    pdf.save(path)


FORMATS: list[tuple[str, str, int, Callable[[Path], None]]] = [
    ("plate.tif", "image/tiff", 1, write_tiff),
    ("large.tif", "image/tiff", 1, lambda path: write_tiff(path, bigtiff=True)),
    ("plate.jpg", "image/jpeg", 1, lambda path: Image.fromarray(colours()).save(path, quality=92)),
    ("plate.png", "image/png", 1, lambda path: Image.fromarray(colours()).save(path)),
    ("letters.pdf", "application/pdf", 2, write_pdf),
]


@pytest.mark.parametrize(("name", "media_type", "pages", "write"), FORMATS, ids=[one[0] for one in FORMATS])
def test_a_signed_copy_is_valid_has_the_same_pixels_and_shows_a_changed_byte(
    tmp_path: Path, name: str, media_type: str, pages: int, write: Callable[[Path], None]
) -> None:
    original, copy = tmp_path / name, tmp_path / "signed" / name
    copy.parent.mkdir()
    write(original)
    before = original.read_bytes()
    sha256 = signer(tmp_path).sign(original, copy, name, making())
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == sha256
    assert original.read_bytes() == before
    assert check_copy(copy) == []
    for page in range(1, pages + 1):
        signed, unsigned = read_master(copy, page=page), read_master(original, page=page)
        assert signed.facts == unsigned.facts
        assert np.array_equal(signed.pixels, unsigned.pixels)
    assert manifest_of(copy, media_type)["title"] == name
    signature = copy.read_bytes().index(b"c2pa.signature")
    place = signature // 2 if signature > len(before) // 2 else len(copy.read_bytes()) - 300  # among the pixels
    changed = bytearray(copy.read_bytes())
    changed[place] ^= 1
    copy.write_bytes(changed)
    assert "assertion.dataHash.mismatch" in check_copy(copy)


def test_the_manifest_tells_what_was_done_with_what(tmp_path: Path) -> None:
    original, copy = tmp_path / "plate.tif", tmp_path / "signed.tif"
    write_tiff(original)
    signer(tmp_path).sign(original, copy, "album/plate.tif", making())
    manifest = manifest_of(copy, "image/tiff")
    assert manifest["claim_generator_info"][0]["name"] == "archive-colorizer"
    assert manifest["claim_generator_info"][0]["version"] == "0.2.0"
    assert {(one["relationship"], one["title"], one["instance_id"]) for one in manifest["ingredients"]} == {
        ("parentOf", "plate.tif", "sha256:" + "a" * 64),
        ("inputTo", "meadow.jpg", "sha256:" + "b" * 64),
    }
    labels = {one["relationship"]: one["label"] for one in manifest["ingredients"]}
    opened, edited = action(manifest, "c2pa.opened"), action(manifest, "c2pa.edited")
    assert [one["url"].rpartition("/")[2] for one in opened["parameters"]["ingredients"]] == [labels["parentOf"]]
    assert [one["url"].rpartition("/")[2] for one in edited["parameters"]["ingredients"]] == [labels["inputTo"]]
    assert edited["digitalSourceType"] == SOURCE_TYPE
    assert edited["softwareAgent"] == {"name": "archive-colorizer", "version": "0.1.0"}
    assert datetime.fromisoformat(edited["when"]) == NOON
    told = {name: value for name, value in edited["parameters"].items() if name != "ingredients"}
    assert told == {"network_size": 512, "weights_sha256": "c" * 64, "temperature": 0.02, "steady": True}


def test_a_source_with_credentials_of_its_own_gives_them_along(tmp_path: Path) -> None:
    scan, plain, copy = tmp_path / "scan.jpg", tmp_path / "colour.jpg", tmp_path / "signed.jpg"
    Image.fromarray(photograph()).save(tmp_path / "bare.jpg")
    Image.fromarray(colours()).save(plain)
    used = signer(tmp_path)
    scan_sha256 = used.sign(tmp_path / "bare.jpg", scan, "scan.jpg", making())
    source = Ingredient(relationship="parentOf", title="scan.jpg", sha256=scan_sha256, file=scan)
    used.sign(plain, copy, "colour.jpg", making(source))
    assert check_copy(copy) == []
    ingredient = manifest_of(copy, "image/jpeg")["ingredients"][0]
    with copy.open("rb") as file, Reader("image/jpeg", file) as reader:
        own = json.loads(reader.json())["manifests"][ingredient["active_manifest"]]
    assert own["title"] == "scan.jpg"
    # what is damaged is given along as far as it can be read, and so told as damaged
    for first, count, is_given in ((900, 1, True), (60, 200, False)):
        content = bytearray(scan.read_bytes())
        place = content.index(MANIFEST_STORE) + first
        content[place : place + count] = bytes(byte ^ 1 for byte in content[place : place + count])
        damaged = tmp_path / "damaged.jpg"
        damaged.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        source_of = Ingredient(relationship="parentOf", title="scan.jpg", sha256=sha256, file=damaged)
        used.sign(plain, copy, "colour.jpg", making(source_of))
        assert check_copy(copy) == []
        assert ("active_manifest" in manifest_of(copy, "image/jpeg")["ingredients"][0]) == is_given
    # another file at its place is not taken for it
    moved = Ingredient(relationship="parentOf", title="scan.jpg", sha256="d" * 64, file=scan)
    used.sign(plain, copy, "colour.jpg", making(moved))
    assert "active_manifest" not in manifest_of(copy, "image/jpeg")["ingredients"][0]


@pytest.mark.parametrize("algorithm", ["es256", "es384", "ps256", "ed25519"])
def test_keys_of_each_kind_sign(tmp_path: Path, algorithm: str) -> None:
    original, copy = tmp_path / "plate.png", tmp_path / "signed.png"
    Image.fromarray(colours()).save(original)
    signer(tmp_path, algorithm).sign(original, copy, "plate.png", making())
    assert check_copy(copy) == []
    with copy.open("rb") as file, Reader("image/png", file) as reader:
        manifests = json.loads(reader.json())
    info = manifests["manifests"][manifests["active_manifest"]]["signature_info"]
    assert info["alg"].lower() == algorithm
    assert info["issuer"] == "An archive"


def test_what_has_no_place_for_a_signature_is_refused_by_name(tmp_path: Path) -> None:
    original = tmp_path / "plate.jp2"
    Image.fromarray(colours()).save(original)
    with pytest.raises(CannotSign, match=r"^plate.jp2: .*image/jp2"):
        signer(tmp_path).sign(original, tmp_path / "signed.jp2", "plate.jp2", making())


def test_a_tiff_of_several_pages_is_refused_as_readers_stumble_over_where_its_signature_lies(tmp_path: Path) -> None:
    original = tmp_path / "album.tif"
    write_pages(original)
    with pytest.raises(CannotSign, match=r"^album.tif: a TIFF of several pages"):
        signer(tmp_path).sign(original, tmp_path / "signed.tif", "album.tif", making())


@pytest.mark.parametrize("name", ["plate.tif", "letters.pdf", "plate.png"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    original = tmp_path / name
    next(write for form, _, _, write in FORMATS if form == name)(original)
    original.write_bytes(original.read_bytes()[:150])
    with pytest.raises(StorageError, match=rf"^{name}"):
        signer(tmp_path).sign(original, tmp_path / f"signed-{name}", name, making())


def test_a_file_without_credentials_is_told_of(tmp_path: Path) -> None:
    plain = tmp_path / "plate.png"
    Image.fromarray(colours()).save(plain)
    with pytest.raises(CannotSign, match=r"^plate.png: no Content Credentials"):
        check_copy(plain)


def test_keys_that_cannot_be_used_are_told_of_before_anything_is_signed(tmp_path: Path) -> None:
    good, other = make_signing(tmp_path / "good"), make_signing(tmp_path / "other")
    late = make_signing(tmp_path / "late", last_day=timedelta(days=-1))
    hidden = make_signing(tmp_path / "hidden", password=b"secret")
    text = tmp_path / "text.pem"
    text.write_text("no key")
    cases = [
        (good.key, good.chain, "rot13", "'rot13' is not known; use one of es256"),
        (good.key, good.chain, "ps256", "needs an RSA key of at least 2048 bits"),
        (good.key, good.chain, "ed25519", "needs an Ed25519 key"),
        (good.key, good.chain, "es384", "needs a key on the curve secp384r1"),
        (good.key, other.chain, "es256", "is not that of the key"),
        (late.key, late.chain, "es256", "not now"),
        (hidden.key, hidden.chain, "es256", "protected by a password"),
        (text, good.chain, "es256", "text.pem: holds no private key"),
        (good.key, text, "es256", "text.pem: holds no certificates"),
        (tmp_path / "none.pem", good.chain, "es256", "none.pem: cannot be read"),
    ]
    for key, chain, algorithm, message in cases:
        with pytest.raises(UnusableKey, match=message):
            read_signing_key(key, chain, algorithm)


def test_a_certificate_for_other_purposes_is_told_of_when_the_signer_is_made(tmp_path: Path) -> None:
    with pytest.raises(CannotSign, match="nothing can be signed with this key and certificate"):
        signer(tmp_path, purpose=ExtendedKeyUsageOID.CODE_SIGNING)


def test_a_time_stamp_authority_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(CannotSign, match=r"127\.0\.0\.1:9"):
        signer_with(make_signing(tmp_path), timestamp_url="http://127.0.0.1:9/")


def test_the_private_key_is_not_shown(tmp_path: Path) -> None:
    signing = make_signing(tmp_path)
    shown = repr(read_signing_key(signing.key, signing.chain, "es256"))
    assert "PRIVATE" not in shown
    assert signing.certificate_sha256 in shown
