"""Dates and eras as archives write them, understood as years.

English and German words; ISO 8601 and its extension EDTF; the dates of Exif; day and month in any order.
"""

import re

CIRCA = 5
"""Years on either side of one that is only about right."""
_EARLIEST, _LATEST = 1000, 2999

_ABOUT = re.compile(r"^(?:circa|ca\.?|c\.?|about|around|approx\.?|um|etwa|~)\s*(?=\d)")
_BETWEEN = re.compile(r"^(?:between|from|von|zwischen)\s+(?=\d)")
_YEAR = re.compile(r"\d{4}")
_DATE = re.compile(r"(\d{4})(?:[-:./](?:0?[1-9]|1[0-2])(?:[-:./](?:0?[1-9]|[12]\d|3[01]))?)(?:[t\s]\s*\d{1,2}:.*)?")
_DATE_YEAR_LAST = re.compile(r"\d{1,2}\.?\s*[./-]\s*(?:\d{1,2}\s*[./-]\s*)?(\d{4})")
_MONTHS = "jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
_DATE_IN_WORDS = re.compile(
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|\.)?\s+)?(?:{_MONTHS})[a-zä]*\.?\s+(?:\d{{1,2}},?\s+)?(\d{{4}})"
)
_DECADE = re.compile(r"(?:the\s+)?(\d{3})0(?:'?s|er)(?:\s+jahren?)?|(\d{3})x")
_CENTURY = re.compile(
    r"(?:the\s+)?(\d{1,2})(?:st|nd|rd|th|\.)\s*(?:century|cent\.?|c\.?|jahrhunderts?|jh\.?|jhdt?\.?)|(\d{2})xx"
)
_RANGES = (
    re.compile(r"(.+?)\s+(?:[-\u2013\u2014/]|to|and|bis|und)\s+(.+)"),
    re.compile(r"(.+?)\s*/\s*(.+)"),
    re.compile(r"(.+?)\s*[-\u2013\u2014]\s*(.+)"),
)
"""The clearer ones first: dates have hyphens of their own."""

Years = tuple[int, int]


def years_of(text: str) -> Years | None:
    """The first and the last year that a date or era may mean, both included; None if it is not understood.

    `1936`, `1936-05-02`, `2.5.1936`, `May 1936`, `1930s`, `1890-1900`, `1890-95`, `19th century`; `c. 1890` is 1885 to
    1895. Where a month may be meant, it is: `1905-10` is 1905.
    """
    plain = " ".join(text.casefold().replace("[", "").replace("]", "").split())
    found = _moment(plain) or _range(_BETWEEN.sub("", plain))
    return found if found and found[0] >= _EARLIEST and found[1] <= _LATEST else None


def _range(text: str) -> Years | None:
    ends = next((ends for pattern in _RANGES if (ends := pattern.fullmatch(text))), None)
    first = _moment(ends[1]) if ends else None
    last = _moment(_completed(ends[2], first)) if ends and first else None
    return (first[0], last[1]) if first and last and first[0] <= last[0] else None


def _moment(text: str) -> Years | None:
    """A single date, decade or century."""
    doubtful = text.rstrip("?~")
    rest = _ABOUT.sub("", doubtful)
    found = _plain_moment(rest)
    if found is None or (rest == text and doubtful == text):
        return found
    return found if found[1] > found[0] else (found[0] - CIRCA, found[1] + CIRCA)


def _plain_moment(text: str) -> Years | None:
    if _YEAR.fullmatch(text):
        return int(text), int(text)
    for pattern in (_DATE, _DATE_YEAR_LAST, _DATE_IN_WORDS):
        if date := pattern.fullmatch(text):
            return int(date[1]), int(date[1])
    if decade := _DECADE.fullmatch(text):
        first = int(decade[1] or decade[2]) * 10
        return first, first + 9
    if century := _CENTURY.fullmatch(text):
        last = int(century[1]) * 100 if century[1] else int(century[2]) * 100 + 99
        return last - 99, last
    return None


def _completed(text: str, first: Years) -> str:
    """The end of a range with the century that its beginning has: 1890-95."""
    return f"{first[0] // 100}{text}" if re.fullmatch(r"\d{2}", text) else text
