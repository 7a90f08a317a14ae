"""What travels to and from the decoder process arrives as it was; what is manipulated does not arrive."""

import contextlib
import dataclasses
import os
import pickle
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.decoding.codec import LARGE_BYTES, BadMessage, Unsendable, pack, unpack
from storage.decoding.registry import MASTERS, Registry
from storage.images.records import ImageFacts
from storage.images.rows import Spool, whole
from tests.storage.decoding.conftest import open_files
from tests.storage.decoding.functions import REGISTRY, Box, Stranger

FACTS = ImageFacts("tiff", 40, 30, 3, 16, 2, (300.0, 299.5), True)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.builds(Box, st.text(), inner)
    ),
    max_leaves=20,
)


def through(value: object, registry: Registry = REGISTRY) -> object:
    packed = pack(value, registry)
    return unpack(packed.payload, [os.dup(descriptor) for descriptor in packed.descriptors], registry)


@given(plain)
def test_plain_values_and_records_arrive_as_they_were(value: object) -> None:
    found = through(value)
    assert found == value
    assert type(found) is type(value)


def test_names_that_are_no_text_and_times_arrive() -> None:
    path = Path(os.fsdecode(b"/a/caf\xe9.tif"))
    when = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    assert through((path, "\udcff", when, FACTS)) == (path, "\udcff", when, FACTS)


@pytest.mark.parametrize("kind", ["uint8", "uint16", ">u2", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4), (0, 5), (700, 800, 3)])
def test_arrays_arrive_small_and_large(kind: str, shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    array = (np.arange(count) % 251).astype(kind).reshape(shape)
    packed = pack(array, REGISTRY)
    assert bool(packed.descriptors) == (array.nbytes > LARGE_BYTES)
    found = through(array)
    assert isinstance(found, np.ndarray)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)
    assert found.shape == array.shape


def test_an_array_that_is_a_view_arrives() -> None:
    array = np.arange(2000 * 900, dtype=np.uint16).reshape(2000, 900)
    for view in (array[::-1, ::2], array.T, array[3:5, ::-1]):
        found = through(view)
        assert isinstance(found, np.ndarray)
        assert np.array_equal(found, view)


def test_a_number_of_numpy_stays_one() -> None:
    found = through(np.uint16(65535))
    assert type(found) is np.uint16
    assert found == 65535


def test_a_spool_arrives_as_one_and_lies_in_the_same_file() -> None:
    spool = Spool((4, 5), np.uint16)
    spool.put(0, np.arange(20, dtype=np.uint16).reshape(4, 5))
    found = through(Box("a", [spool, spool]))
    assert isinstance(found, Box)
    first, second = found.content
    assert isinstance(first, Spool)
    assert np.array_equal(whole(first), whole(spool))
    first.put(3, np.zeros((1, 5), np.uint16))
    assert np.array_equal(whole(second), whole(spool))
    assert not whole(spool)[3].any()


@pytest.mark.parametrize(
    "value",
    [Stranger(), object(), Path, {1, 2}, np.array(["text"]), np.array([object()]), 1j, lambda: None, print],
    ids=["record", "object", "class", "set", "texts", "objects", "complex", "lambda", "function"],
)
def test_what_does_not_travel_is_refused_by_name(value: object) -> None:
    with pytest.raises(Unsendable, match="travel"):
        pack([value], REGISTRY)


def test_what_is_too_much_for_a_message_is_refused() -> None:
    with pytest.raises(Unsendable, match="too much"):
        pack([b"x" * (1 << 26)] * 5, REGISTRY)
    with pytest.raises(Unsendable, match="too much"):
        pack([Spool((1, 1), np.uint8)] * 1001, REGISTRY)


def test_what_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(Unsendable, match="too deeply"):
        pack(value, REGISTRY)


def test_a_record_that_is_not_allowed_here_is_refused() -> None:
    packed = pack(Box("a"), REGISTRY)
    with pytest.raises(BadMessage, match="not a record"):
        unpack(packed.payload, [], MASTERS)


@pytest.mark.parametrize("reference", ["os:system", "subprocess:Popen", "builtins:eval", "storage.errors:StorageError"])
def test_no_class_or_function_can_be_called_by_name(reference: str) -> None:
    own = pack(Box("a", None), REGISTRY).payload
    name = f"{Box.__module__}:Box".encode()
    assert name in own
    other = own.replace(
        len(name).to_bytes(4, "little") + name, len(reference).to_bytes(4, "little") + reference.encode()
    )
    with pytest.raises(BadMessage, match="not a record"):
        unpack(other, [], REGISTRY)


def test_a_pickle_is_no_message() -> None:
    with pytest.raises(BadMessage):
        unpack(pickle.dumps(Path("a")), [], REGISTRY)


@given(st.data())
def test_manipulated_messages_are_refused_or_some_other_value(data: st.DataObject) -> None:
    value = Box("a", [FACTS, np.arange(6).reshape(2, 3), {"k": (1, 2.5, b"x")}, np.float32(1), Path("p")])
    payload = bytearray(pack(value, REGISTRY).payload)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    for message in (bytes(payload), bytes(payload[:cut]), bytes(payload) + b"N"):
        with contextlib.suppress(BadMessage):
            unpack(message, [], REGISTRY)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_value(payload: bytes) -> None:
    with contextlib.suppress(BadMessage):
        unpack(payload, [], REGISTRY)


def test_a_claim_of_very_many_values_is_refused_before_they_are_made() -> None:
    with pytest.raises(BadMessage):
        unpack(b"L" + b"\xff\xff\xff\xff" + b"N" * 100, [], REGISTRY)
    with pytest.raises(BadMessage, match="too many"):
        unpack(b"L" + (3 << 20).to_bytes(4, "little") + b"N" * (3 << 20), [], REGISTRY)


def test_a_file_that_is_too_short_or_no_file_is_refused_and_closed() -> None:
    payload = pack(Spool((100, 100), np.uint8), REGISTRY).payload
    before = open_files()
    with tempfile.TemporaryFile() as short:
        with pytest.raises(BadMessage, match="does not hold"):
            unpack(payload, [os.dup(short.fileno())], REGISTRY)
        reading, writing = os.pipe()
        with pytest.raises(BadMessage, match="does not hold"):
            unpack(payload, [reading], REGISTRY)
        os.close(writing)
        with pytest.raises(BadMessage):
            unpack(payload, [], REGISTRY)
    assert open_files() == before


def test_a_shape_whose_product_runs_over_is_refused() -> None:
    spool = Spool((16, 16), np.uint8)
    payload = pack(spool, REGISTRY).payload
    side = (1 << 32).to_bytes(8, "little")
    huge = payload.replace((16).to_bytes(8, "little"), side)
    assert huge != payload
    with pytest.raises(BadMessage, match="does not hold"):
        unpack(huge, [os.dup(spool.descriptor)], REGISTRY)


def test_files_that_belong_to_nothing_are_refused_and_closed() -> None:
    spool = Spool((2, 2), np.uint8)
    before = open_files()
    with pytest.raises(BadMessage, match="more in the message"):
        unpack(pack(1, REGISTRY).payload, [os.dup(spool.descriptor)], REGISTRY)
    assert open_files() == before


def test_the_registry_of_masters_names_what_there_is() -> None:
    for name in MASTERS.functions:
        assert callable(MASTERS.function(name))
    for reference in MASTERS.records:
        assert dataclasses.is_dataclass(MASTERS.record(reference))
    for reference in MASTERS.errors:
        assert issubclass(MASTERS.error(reference), Exception)
    assert Registry.from_json(MASTERS.to_json()) == MASTERS
