"""What all tables have in common: their registry, how constraints are named, which types stand for which columns."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from storage.database.types import UtcDateTime

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The registry of the tables."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way to say it
        int: sa.BigInteger,
        str: sa.Text,
        float: sa.Double,
        datetime: UtcDateTime,
    }


def one_of(column: str, values: tuple[str, ...], name: str) -> sa.CheckConstraint:
    """Whether a column has one of these values."""
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=name)
