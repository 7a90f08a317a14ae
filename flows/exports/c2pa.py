"""Signed copies of what was made, with Content Credentials (C2PA) that say how."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from flows.errors import EnvironmentProblem, UsageError
from flows.exports.places import check_apart
from flows.exports.premis import nothing_done
from flows.exports.report import ExportReport, failures
from flows.exports.works import MadeFile, Work, used_references, works
from flows.run_record import AI_SYSTEM, DIGITAL_SOURCE_TYPE, SOFTWARE
from flows.version import code_version
from storage.database import Database, events, exporting, runs
from storage.database.records import RunColorization, StoredRun
from storage.errors import StorageError
from storage.fixity import atomic_write, sha256_file
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # they need an optional dependency
    from storage.exports.c2pa_signing import C2paSigner, Ingredient, Making

_DESCRIPTION = "Colours added by a neural network, after the reference pictures among the ingredients; luminance kept"


def export_c2pa(
    database: Database,
    output_root: str,
    target: Path,
    key: Path,
    certificate: Path,
    algorithm: str = "es256",
    run_id: int | None = None,
    timestamp_url: str | None = None,
) -> ExportReport:
    """Write signed copies of what counts in an output folder (of one run) into `target`; the outputs stay as they are.

    What a person rejected is left out. Copies that were signed before and are still there are left as they are, so
    that an export that was cut off can be done again. That each was signed goes on record, before it is there.

    Args:
        output_root: as the database has it.
        key, certificate: PEM files; the certificates are a chain, the signer's first.
        algorithm: es256, es384, es512, ps256, ps384, ps512 or ed25519.
        timestamp_url: of a time stamp authority (RFC 3161), which is asked for every copy.

    Raises:
        UsageError: there is nothing to sign, the key cannot be used, or `target` lies in the archive or output folder.
        EnvironmentProblem: a package of the extra `c2pa` is missing.
    """
    ids = exporting.selected(database, exporting.Selection(output_root=output_root, run_id=run_id))
    if not ids:
        raise nothing_done(output_root, run_id)
    if target.exists() and not target.is_dir():
        raise UsageError(f"{path_to_text(target)} is no folder; name one for the signed copies")
    check_apart(database, target, output_root)
    signer, fingerprint = _signer(key, certificate, algorithm, timestamp_url)
    export = _Export(database, target, signer, f"certificate SHA-256 {fingerprint}")
    for work in works(exporting.in_full(database, ids)):
        export.add(work)
    return export.report()


def _signer(key: Path, certificate: Path, algorithm: str, timestamp_url: str | None) -> "tuple[C2paSigner, str]":
    if timestamp_url is not None and not timestamp_url.startswith(("http://", "https://")):
        raise UsageError(f"the time stamp authority needs an address with http:// or https://, not {timestamp_url!r}")
    try:
        from storage.exports.c2pa_signing import C2paSigner
        from storage.exports.signing_key import read_signing_key

        signing = read_signing_key(key, certificate, algorithm)
        return C2paSigner(signing, SOFTWARE, code_version(), timestamp_url), signing.certificate_sha256
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            f'the package {error.name} is not installed; install it with: pip install "archive-colorizer[c2pa]"'
        ) from error
    except StorageError as error:
        raise UsageError(error.message) from error


@dataclass(slots=True)
class _Export:
    """What has been signed so far."""

    database: Database
    target: Path
    signer: "C2paSigner"
    signed_with: str
    signed: int = 0
    signed_before: int = 0
    rejected: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    runs: dict[int, StoredRun] = field(default_factory=dict)

    def add(self, work: Work) -> None:
        ids = [row.id for row in work.rows]
        decided = exporting.reviews(self.database, ids)
        rejected = {id_ for id_, reviews in decided.items() if reviews[-1].decision == "rejected"}
        told = exporting.events_about(self.database, ids, [events.EXPORTED])
        for made in work.made:
            if any(row.id in rejected for row in made.rows):
                self.rejected += 1
                continue
            try:
                self._add(work, made, [event.message or "" for event in told.get(made.rows[0].id, [])])
            except StorageError as error:
                self.failed.append((made.path, error.message))
            except OSError as error:
                self.failed.append((made.path, error.strerror or str(error)))

    def _add(self, work: Work, made: MadeFile, told: list[str]) -> None:
        place = self.target / text_to_path(made.path)
        if place.exists():
            if self._message(made, sha256_file(place)) in told:
                self.signed_before += 1
            else:
                self.failed.append((made.path, "another file of this name is there already; name an empty folder"))
            return
        output = text_to_path(made.absolute_path)
        if sha256_file(output) != made.sha256:
            self.failed.append((made.path, "the output is not the file on record any more, so it was not signed"))
            return
        with atomic_write(place) as partial:
            sha256 = self.signer.sign(output, partial, made.path, self._making(work, made))
            self._record(made, self._message(made, sha256))
        self.signed += 1

    def _message(self, made: MadeFile, sha256: str) -> str:
        return f"C2PA signed copy {made.path}, SHA-256 {sha256}, {self.signed_with}"

    def _record(self, made: MadeFile, message: str) -> None:
        row = made.rows[0]

        def add(session: Session) -> None:
            events.append(
                session,
                events.EXPORTED,
                agent=events.agent(),
                outcome="signed",
                run_id=row.run_id,
                colorization_id=row.id,
                message=message,
            )

        self.database.run_write(add)

    def _making(self, work: Work, made: MadeFile) -> "Making":
        from storage.exports.c2pa_signing import Making

        row, run = made.rows[0], self._run(made.rows[0].run_id)
        return Making(
            software=SOFTWARE,
            version=run.code_version,
            when=max(one.created_at for one in made.rows),
            description=_DESCRIPTION,
            digital_source_type=DIGITAL_SOURCE_TYPE,
            ingredients=tuple(_ingredients(work, made)),
            parameters=_parameters(row, run),
        )

    def _run(self, run_id: int) -> StoredRun:
        if run_id not in self.runs:
            found = runs.get(self.database, run_id)
            if found is None:
                raise RuntimeError(f"there is no run {run_id}, which made something")
            self.runs[run_id] = found
        return self.runs[run_id]

    def report(self) -> ExportReport:
        notes = [f"{self.signed} files signed, with the {self.signed_with}"]
        if self.signed_before:
            notes.append(f"{self.signed_before} files had been signed before and were left as they are")
        if self.rejected:
            notes.append(f"{self.rejected} files were left out, as their results are rejected")
        return ExportReport(
            files=(self.target,),
            written=self.signed,
            objects=self.signed + self.signed_before,
            notes=tuple(notes),
            failures=failures(self.failed),
        )


def _ingredients(work: Work, made: MadeFile) -> "Iterator[Ingredient]":
    from storage.exports.c2pa_signing import Ingredient

    source_sha256 = made.rows[0].source_sha256
    yield Ingredient(
        relationship="parentOf", title=work.path, sha256=source_sha256, file=text_to_path(work.absolute_path)
    )
    for reference in used_references(made.rows):
        if reference.sha256 != source_sha256:  # else the picture's own colour was taken
            place = reference.absolute_path
            yield Ingredient(
                relationship="inputTo",
                title=reference.path.rpartition("/")[2],
                sha256=reference.sha256,
                file=None if place is None else text_to_path(place),
            )


def _parameters(row: RunColorization, run: StoredRun) -> dict[str, Any]:
    """Everything that changed pixels or choices; no path of the machine, as the copy goes out into the world."""
    found = {
        "ai_system": AI_SYSTEM,
        "weights_sha256": row.weights_sha256,
        "network_size": row.network_size,
        "reference_choice": row.reference_choice,
        "index_version": row.index_version,
        "device": row.device,
        "precision": row.precision,
    }
    run_wide = {name: value for name, value in run.parameters.items() if not str(value).startswith("/")}
    return {name: value for name, value in (run_wide | found).items() if value is not None}
