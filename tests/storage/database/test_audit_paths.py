"""Patterns of paths mean the same on both databases, and what the shell's mean."""

from fnmatch import fnmatchcase

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.database.audit_paths import is_at

PATHS = (
    "a.tif",
    "A.tif",
    "a1.tif",
    "ab.tif",
    "b/a.tif",
    "b/c/a.tif",
    "b",
    "bb/a.tif",
    "[a].tif",
    "a-b",
    "a^b",
    "a]b",
    "a\\\\b",
    "a\\b",
    "übung",
    "a.b",
    "a+b",
    "a(b",
    "a%b",
    "a_b",
    "a'b",
    "a*b",
    "aéb",
    "a\U0001f5bcb",
    "Zürich/Glasplatten – 1.tif",
)
PATTERNS = (
    "*",
    "*.tif",
    "?.tif",
    "a?b",
    "a[-^]b",
    "a[^-]b",
    "a[^]b",
    "a[]]b",
    "a[!]]b",
    "a[]-]b",
    "a[!a-zA-Z]b",
    "[ab]*",
    "[!ab]*",
    "[]",
    "[!]",
    "a[",
    "[[]a].tif",
    "a[*]b",
    "a[\\\\]b",
    "a\\\\b*",
    "*/a.tif",
    "Zürich/*",
    "*–*",
    "a.b*",
    "a+*",
    "a(*",
    "a%*",
    "a_*",
    "a'*",
    "[é-ü]*",
    "a[é\U0001f5bc]b",
    "?[0-9].*",
    "a$*",
    "^a*",
)


def _found(db: Database, wanted: str) -> list[str]:
    values = sa.union_all(*(sa.select(sa.literal(one).label("path")) for one in PATHS)).subquery()
    query = sa.select(values.c.path).where(is_at(values.c.path, wanted, db.dialect))
    with db.read() as session:
        return [*session.scalars(query)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_those_of_the_shell_except_that_stars_go_into_folders(db: Database, pattern: str) -> None:
    expected = [path for path in PATHS if fnmatchcase(path, pattern) or path == pattern]
    assert _found(db, pattern) == expected


def test_every_pattern_that_can_match_finds_something() -> None:
    silent = [pattern for pattern in PATTERNS if not any(fnmatchcase(path, pattern) for path in PATHS)]
    assert silent == ["[]", "[!]", "a[", "a$*", "^a*"]


def test_a_folder_is_all_that_is_below_it(db: Database) -> None:
    for folder in ("b", "b/", "./b"):
        assert _found(db, folder) == ["b/a.tif", "b/c/a.tif", "b"]
    assert _found(db, "b/c") == ["b/c/a.tif"]
    assert _found(db, "Zürich") == ["Zürich/Glasplatten – 1.tif"]


def test_a_name_with_signs_of_patterns_is_found_as_it_is(db: Database) -> None:
    assert _found(db, "[a].tif") == ["a.tif", "[a].tif"]
    assert "a*b" in _found(db, "a*b")


def test_names_that_sql_could_misread(db: Database) -> None:
    for name in ("a%b", "a_b", "a'b", "a\\\\b", "a\\b"):
        assert _found(db, name) == [name]
