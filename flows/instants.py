"""Days and times as people type them."""

from datetime import UTC, date, datetime, timedelta

from flows.errors import UsageError


def start_of(text: str) -> datetime:
    """The instant at which a day begins, or a time as it is; in UTC where no other zone is said.

    Raises:
        UsageError: neither a day nor a time of ISO 8601.
    """
    return _parsed(text)[0]


def end_of(text: str) -> datetime:
    """The first instant after a day, or a time as it is; in UTC where no other zone is said.

    Raises:
        UsageError: neither a day nor a time of ISO 8601, or the last day of the calendar.
    """
    found, length = _parsed(text)
    try:
        return found + length
    except OverflowError:
        raise UsageError(f"after {text} there is no other day; name an earlier one") from None


def _parsed(text: str) -> tuple[datetime, timedelta]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return datetime(day.year, day.month, day.day, tzinfo=UTC), timedelta(days=1)
    try:
        found = datetime.fromisoformat(text)
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)), timedelta(0)
    except (ValueError, OverflowError):
        raise UsageError(
            f"'{text}' is no day or time; write 2026-03-01 or 2026-03-01T12:00, with +01:00 if not in UTC"
        ) from None
