"""What a viewer of the web is told of a coloured picture, in words."""

from collections.abc import Sequence
from datetime import UTC

from flows.exports.works import UsedReference, used_references
from flows.run_record import AI_SYSTEM, SOFTWARE
from storage.database.exporting import RecordedReview
from storage.database.records import RunColorization, StoredRun
from storage.exports.iiif import Statement

_NAMED_REFERENCES = 5
_CHOICES = {
    "retrieved": "found in the reference library by likeness",
    "pinned": "chosen by a person",
    "self": "the picture's own colour",
}


def facts_of(
    row: RunColorization, run: StoredRun, review: RecordedReview | None, rights: Sequence[str]
) -> list[tuple[str, str]]:
    """Labels and values of one result. Who reviewed it is not told: this goes out into the world.

    Args:
        rights: what is said of the rights in its references.
    """
    found: list[tuple[str, str | None]] = [
        ("Coloured file", row.output_path),
        ("SHA-256 of the coloured file", row.output_sha256),
        ("SHA-256 of the scan", row.source_sha256),
    ]
    for reference in used_references([row]):
        found += [("Reference", reference.path), ("SHA-256 of the reference", reference.sha256)]
    found += [("Rights in the reference", text) for text in rights]
    found += [
        ("Choice of the reference", _CHOICES.get(row.reference_choice or "")),
        ("Confidence in the match", _share(row.match_confidence, doubtful=bool(row.low_match))),
        ("Confidence in the colours", _share(row.confidence)),
        ("Program", f"{SOFTWARE} {run.code_version}"),
        ("SHA-256 of the network's weights", row.weights_sha256 or run.weights_sha256),
        ("Size at which the network worked", f"{row.network_size} pixels" if row.network_size is not None else None),
        ("Coloured at", f"{row.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        ("Run", str(row.run_id)),
        ("Review", _review(review)),
    ]
    return [(label, value) for label, value in found if value is not None]


def statement_of(made_by: Sequence[tuple[str, str]], references: Sequence[UsedReference]) -> Statement:
    """What must be shown with pictures in colour.

    Args:
        made_by: versions of the program with digests of weights.
    """
    by = "; ".join(f"{SOFTWARE} {version} ({AI_SYSTEM}, weights SHA-256 {weights})" for version, weights in made_by)
    text = f"The colours were added by a machine, {by}, and tell nothing of the colours that were there."
    if references:
        named = [f"{one.path} (SHA-256 {one.sha256})" for one in references[:_NAMED_REFERENCES]]
        if len(references) > _NAMED_REFERENCES:
            named.append(f"{len(references) - _NAMED_REFERENCES} more")
        text += f" They were taken from {', '.join(named)}."
    return Statement("Coloured by machine", text)


def _share(value: float | None, *, doubtful: bool = False) -> str | None:
    """A share, 0 to 1."""
    return None if value is None else f"{value:.2f}" + (", doubtful" if doubtful else "")


def _review(review: RecordedReview | None) -> str:
    if review is None:
        return "nobody has reviewed it"
    return f"{review.decision} on {review.at:%Y-%m-%d}"
