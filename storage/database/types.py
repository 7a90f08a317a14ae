"""Column types that read the same on SQLite and PostgreSQL."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Integer primary and foreign keys, 64 bits on both (SQLite numbers rows only in an INTEGER column)."""

JsonObject = sa.JSON().with_variant(JSONB(), "postgresql")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant: aware datetimes in, aware UTC datetimes out; naive ones are refused.

    `timestamp with time zone` on PostgreSQL. On SQLite, which has no such type, ISO 8601 text of fixed width
    (`2026-03-01T12:00:00.000000+00:00`), so that plain SQL reads it, sorts it and its date functions take it.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(32))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be kept in the database")
        value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        return instant.astimezone(UTC)


class MessageText(sa.types.TypeDecorator[str]):
    """Text from the outside world, made storable."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text with NUL and lone surrogates escaped, which UTF-8 or PostgreSQL cannot hold."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def to_json(value: Mapping[str, Any]) -> str:
    """JSON as it is stored: keys sorted, letters readable."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def now() -> datetime:
    """The present instant in UTC."""
    return datetime.now(UTC)
