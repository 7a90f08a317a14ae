"""Settings are validated once, with messages for people; the command line beats the environment."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.orchestration.parameters import parameters_of, settings_of
from flows.settings import RunSettings, default_database, run_settings, sqlite_path


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RunSettings.model_fields:
        monkeypatch.delenv(f"ARCHIVE_COLORIZER_{name.upper()}", raising=False)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for name in ("archive", "references"):
        (tmp_path / name).mkdir()
    return {name: tmp_path / name for name in ("archive", "references", "output")}


def test_defaults(folders: dict[str, Path]) -> None:
    settings = run_settings(folders)
    assert (settings.size, settings.batch_size, settings.device, settings.format) == (512, 16, "auto", "tiff")
    assert settings.database_url == f"sqlite:///{folders['output']}/provenance.db"
    assert (settings.film_formats, settings.sequence_rate, settings.steady) == (("ffv1",), 24, True)
    assert settings.reference is None


def test_environment_sets_any_option(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        **{name: str(path) for name, path in folders.items()},
        "database": "sqlite:////tmp/elsewhere.db",
        "size": "768",
        "batch_size": "4",
        "device": "cpu",
        "attention": "dense",
        "candidates": "3",
        "variety": "0.1",
        "pins": __file__,
        "low_match": "0.25",
        "skip_low_match": "yes",
        "rights": "CC0; public domain",
        "tags": "farm",
        "years": "1900-1940",
        "only_references": str(folders["references"] / "only.txt"),
        "never_references": str(folders["references"] / "never.txt"),
        "format": "png",
        "access": "jpeg:1024",
        "pdf": "tiff",
        "pdf_quality": "80",
        "colorize_all": "true",
        "film_format": "h264,ffv1",
        "shot_threshold": "12.5",
        "steady": "no",
        "sequences": "always",
        "sequence_rate": "24000/1001",
        "reference": str(folders["references"]),
        "max_pixels": "1000000",
        "retry_failed": "1",
        "dry_run": "true",
        "prefect": "0",
    }
    for name in ("only", "never"):
        (folders["references"] / f"{name}.txt").touch()
    for name, value in values.items():
        monkeypatch.setenv(f"ARCHIVE_COLORIZER_{name.upper()}", value)
    settings = run_settings(dict.fromkeys(values))
    assert (settings.rights, settings.tags, settings.year_range) == (("CC0", "public domain"), ("farm",), (1900, 1940))
    assert settings.never_references == folders["references"] / "never.txt"
    # on the command line an option is given again for another text; what is not given is an empty list
    assert run_settings({"rights": [], "tags": ["a;b"]}).model_dump(include={"rights", "tags"}) == {
        "rights": ("CC0", "public domain"),
        "tags": ("a;b",),
    }
    assert (settings.size, settings.batch_size, settings.attention, settings.format) == (
        768,
        4,
        "dense",
        "png",
    )
    assert (settings.formats, settings.pdf, settings.pdf_quality) == (("png", "jpeg:1024"), "tiff", 80)
    assert settings.colorize_all
    assert settings.retry_failed
    assert settings.dry_run
    assert not settings.prefect
    assert not settings.steady
    assert (settings.film_formats, settings.shot_threshold) == (("h264", "ffv1"), 12.5)
    assert (settings.sequences, settings.sequence_rate) == ("always", Fraction(24000, 1001))
    assert settings.reference == folders["references"]
    assert settings.archive == folders["archive"]
    assert (settings.variety, settings.pins) == (0.1, Path(__file__))
    assert (
        not set(RunSettings.model_fields)
        - set(values)
        - {"vgg_weights", "workers", "cluster", "log", "log_form", "metrics"}
    )


def test_command_line_beats_environment(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_COLORIZER_SIZE", "768")
    assert run_settings({**folders, "size": 256}).size == 256
    assert run_settings({**folders, "size": None}).size == 768


def test_settings_are_frozen(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        run_settings(folders).size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "archive/out"}, "lies inside the archive; choose an output folder elsewhere"),
        ({"output": "archive"}, "lies inside the archive"),
        ({"output": "."}, "lies inside the output folder"),
        ({"output": "references"}, "lies inside the references"),
        ({"output": "references/out"}, "lies inside the references"),
        ({"references": "none"}, "does not exist; check the path"),
        ({"archive": "none"}, "the archive folder .* does not exist"),
        ({"database": "sqlite:///{root}/archive/x.db"}, "the database .* lies inside the archive"),
        ({"size": 3}, "--size: 3 does not fit; it should be greater than or equal to 64"),
        ({"device": "gpu"}, "--device: 'gpu' is not known; use auto, cpu"),
        ({"film_format": "avi"}, "--film-format: 'avi' is not known; use ffv1, h264 or prores"),
        ({"film_format": "ffv1,"}, "--film-format: 'ffv1,' is not known; use"),
        ({"film_format": "ffv1, h264"}, "--film-format: 'ffv1, h264' is not known; use"),
        ({"film_format": "ffv1,h264,ffv1"}, "--film-format: ffv1,h264,ffv1 names a format twice; name each once"),
        ({"shot_threshold": 0}, "--shot-threshold: 0 does not fit; it should be greater than 0"),
        ({"shot_threshold": "much"}, "--shot-threshold: 'much' does not fit; it should be a valid number"),
        ({"sequences": "sometimes"}, "--sequences: 'sometimes' does not fit; it should be 'auto', 'always' or 'never'"),
        ({"sequence_rate": "PAL"}, "--sequence-rate: 'PAL' is no frame rate up to 1000; write it like 24, 23.976"),
        ({"sequence_rate": "24/0"}, "--sequence-rate: '24/0' is no frame rate up to 1000; write it like 24, 23.976"),
        ({"sequence_rate": "0"}, "--sequence-rate: '0' is no frame rate up to 1000; write it like 24, 23.976"),
        ({"sequence_rate": "-24"}, "--sequence-rate: '-24' is no frame rate up to 1000; write it like 24, 23.976"),
        (
            {"sequence_rate": "1e9"},
            "--sequence-rate: '1000000000' is no frame rate up to 1000; write it like 24, 23.976",
        ),
        ({"sequence_rate": "nan"}, "--sequence-rate: 'nan' is no frame rate up to 1000; write it like 24, 23.976"),
        ({"reference": "/nowhere/frames.csv"}, "the reference /nowhere/frames.csv does not exist; check the path"),
        ({"years": "1940-1900"}, "--years: '1940-1900' is not understood; write it like 1936 or 1900-1940"),
        ({"years": "long ago"}, "--years: 'long ago' is not understood; write it like 1936 or 1900-1940"),
        ({"only_references": "/nowhere/l.txt"}, "the list of references /nowhere/l.txt does not exist; check the path"),
        ({"format": "jpeg"}, "--format: 'jpeg' is not known; use tiff, png or jp2, or several with commas"),
        ({"format": "tiff,png,tiff"}, "--format: tiff,png,tiff names a format twice; name each once"),
        (
            {"access": "jpeg:0"},
            "--access: 'jpeg:0' is not known; use jpeg, or jpeg:2048 for a long side of 2048 pixels",
        ),
        ({"pdf": "png"}, "--pdf: 'png' does not fit; it should be 'pdf' or 'tiff'"),
        ({"pdf_quality": 10}, "--pdf-quality: 10 does not fit; it should be greater than or equal to 50"),
        (
            {"archive": None},
            "ARCHIVE is missing; give it on the command line or set ARCHIVE_COLORIZER_ARCHIVE",
        ),
        ({"references": None}, "--references is missing"),
    ],
)
def test_refusals(folders: dict[str, Path], tmp_path: Path, change: dict[str, object], message: str) -> None:
    for name, value in change.items():
        if name in folders and value is not None:
            value = tmp_path / str(value)
        folders[name] = value.format(root=tmp_path) if isinstance(value, str) else value  # type: ignore[assignment]
    with pytest.raises(UsageError, match=message) as refused:
        run_settings(folders)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("24", Fraction(24)),
        ("23.976", Fraction(23976, 1000)),
        ("24000/1001", Fraction(24000, 1001)),
        (" 16 ", Fraction(16)),
        (18, Fraction(18)),
        (16.5, Fraction(33, 2)),
    ],
)
def test_frame_rates_as_people_write_them(folders: dict[str, Path], written: object, rate: Fraction) -> None:
    settings = run_settings({**folders, "sequence_rate": written})
    assert settings.sequence_rate == rate
    assert settings_of(parameters_of(settings)) == settings


@pytest.mark.parametrize("written", ["ffv1", "h264,ffv1", "prores,h264,ffv1"])
def test_film_formats_keep_their_order(folders: dict[str, Path], written: str) -> None:
    settings = run_settings({**folders, "film_format": written})
    assert ",".join(settings.film_formats) == written
    assert settings_of(parameters_of(settings)) == settings


def test_filters_survive_as_parameters(folders: dict[str, Path]) -> None:
    lists = folders["references"] / "l\udce4.txt"
    lists.touch()
    settings = run_settings(
        {**folders, "rights": ["CC0; PD"], "tags": ["a", "b"], "years": "1936", "only_references": lists}
    )
    assert settings_of(json.loads(json.dumps(parameters_of(settings)))) == settings


def test_output_inside_the_archive_through_a_link(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folders["archive"])
    with pytest.raises(UsageError, match="inside the archive"):
        run_settings({**folders, "output": tmp_path / "link" / "out"})


def test_a_folder_has_one_identity(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run_settings(folders)
    (tmp_path / "there").symlink_to(tmp_path)
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for root in (tmp_path / "there", Path(".."), Path("../there")):
        assert run_settings({name: root / name for name in folders}) == plain


def test_links_in_a_circle_are_told(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(UsageError, match="circle"):
        run_settings({**folders, "archive": tmp_path / "circle"})


def test_sqlite_path() -> None:
    assert sqlite_path(default_database(Path("/a/b"))) == Path("/a/b/provenance.db")
    assert sqlite_path("postgresql://host/name") is None
