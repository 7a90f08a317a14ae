"""Paths to look for, as conditions that mean the same on both databases."""

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

# `[...]` with at least one sign in it, which may be `]` itself, as in fnmatch; any other sign stands for itself.
_PARTS = re.compile(r"\[!?+(?:\][^\]]*|[^\]]+)\]|.", re.DOTALL)


def is_at(column: sa.ColumnElement[Any], wanted: str, dialect: str) -> sa.ColumnElement[bool]:
    """Whether a path is this one, lies in this folder, or fits this pattern of `*`, `?`, `[abc]`, `[!a-z]`.

    `*` goes into folders too. A file whose name has such signs is also found by its own name.

    Raises:
        ValueError: a range such as `[z-a]`.
    """
    plain = wanted.removeprefix("./").rstrip("/") or wanted
    folder = plain.rstrip("/") + "/"
    here = [column == plain, sa.func.substr(column, 1, len(folder)) == folder]
    if not {*plain} & {*"*?["}:
        return sa.or_(*here)
    if dialect == "sqlite":
        return sa.or_(*here, column.op("GLOB", is_comparison=True)(_sqlite_glob(plain)))
    return sa.or_(*here, column.op("~", is_comparison=True)(_regular_expression(plain)))


def _sqlite_glob(pattern: str) -> str:
    """SQLite's GLOB says `[^...]` where the shell says `[!...]`."""
    found = []
    for part in _parts(pattern):
        if len(part) == 1:
            found.append("[[]" if part == "[" else part)
            continue
        negation, signs = _class(part)
        # `^` in front would mean "none of"
        signs = signs[1:] + "^" if signs.startswith("^") and not negation and len(signs) > 1 else signs
        found.append("^" if signs == "^" and not negation else f"[{negation}{signs}]")
    return "".join(found)


def _regular_expression(pattern: str) -> str:
    """As PostgreSQL reads them."""
    found = []
    for part in _parts(pattern):
        if len(part) == 1:
            found.append({"*": ".*", "?": "."}.get(part) or re.sub(r"([^\w\s])", r"\\\1", part))
            continue
        negation, signs = _class(part)
        literal = re.sub(r"([^\w\s-])", r"\\\1", signs)
        found.append(f"[{negation}{literal}]")
    return f"^{''.join(found)}$"


def _parts(pattern: str) -> Iterator[str]:
    return (match[0] for match in _PARTS.finditer(pattern))


def _class(part: str) -> tuple[str, str]:
    """(`^` or nothing, the signs) of `[...]`."""
    negation, signs = ("^", part[2:-1]) if part.startswith("[!") else ("", part[1:-1])
    if any(first > last for first, last in re.findall("(.)-(.)", signs)):
        raise ValueError(f"in {part} of the path to look for, a range runs backwards")
    return negation, signs
