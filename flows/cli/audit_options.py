"""What `audit` can be asked for, as annotated types. An option that is not given is None."""

from typing import Annotated

import typer

RunState = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        envvar="ARCHIVE_COLORIZER_AUDIT_STATE",
        help="running, completed, completed_with_failures, interrupted, crashed or failed.",
    ),
]
ItemState = Annotated[
    str | None,
    typer.Option("--state", metavar="STATE", envvar="ARCHIVE_COLORIZER_AUDIT_STATE", help="done, failed or skipped."),
]
Decision = Annotated[
    str | None,
    typer.Option(
        "--decision",
        "--state",
        metavar="DECISION",
        envvar="ARCHIVE_COLORIZER_AUDIT_DECISION",
        help="approved, rejected or replaced.",
    ),
]
EventType = Annotated[
    str | None,
    typer.Option(
        "--type",
        "--state",
        metavar="TYPE",
        envvar="ARCHIVE_COLORIZER_AUDIT_TYPE",
        help="Type of the events, e.g. reviewed.",
    ),
]
Finding = Annotated[
    str | None,
    typer.Option(
        "--finding",
        "--state",
        metavar="FINDING",
        envvar="ARCHIVE_COLORIZER_AUDIT_FINDING",
        help="intact, changed, missing, unreadable or unknown.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        envvar="ARCHIVE_COLORIZER_AUDIT_SINCE",
        help="Not before this day or time (ISO 8601, else in UTC).",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        envvar="ARCHIVE_COLORIZER_AUDIT_UNTIL",
        help="Until the end of this day, or before this time.",
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="REFERENCE",
        envvar="ARCHIVE_COLORIZER_AUDIT_REFERENCE",
        help="Path of a reference, its number, or 6 digits or more of its SHA-256.",
    ),
]
Below = Annotated[
    float | None,
    typer.Option(
        "--below", metavar="P", envvar="ARCHIVE_COLORIZER_AUDIT_BELOW", help="Only less confidence than this, 0 to 1."
    ),
]
Reviewed = Annotated[
    bool | None,
    typer.Option(
        "--reviewed/--unreviewed",
        envvar="ARCHIVE_COLORIZER_AUDIT_REVIEWED",
        help="Only what somebody decided on, or nobody.",
    ),
]
PathOrGlob = Annotated[
    str | None,
    typer.Option(
        "--path",
        metavar="PATH",
        envvar="ARCHIVE_COLORIZER_AUDIT_PATH",
        help="A path, a folder, or a pattern of *, ?, [...] (* goes into folders).",
    ),
]
Current = Annotated[
    bool, typer.Option("--current", envvar="ARCHIVE_COLORIZER_AUDIT_CURRENT", help="Without what is superseded.")
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", envvar="ARCHIVE_COLORIZER_AUDIT_LIMIT", help="Only the first rows."),
]
