"""A role of PostgreSQL for auditors: it reads everything that is on record, and changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection

from storage.database.connection import Database
from storage.database.errors import DatabaseError, describe
from storage.database.models import Base
from storage.database.schema import VERSION_TABLE
from storage.database.statements import take_turns

_LONGEST_NAME = 63  # bytes; PostgreSQL cuts off what is longer, and would name another role
_WRITING = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@dataclass(frozen=True, slots=True)
class Auditor:
    """A role that may read: whether it was made now, and the URL to connect with, without a password."""

    name: str
    is_new: bool
    url: str


def grant(db: Database, name: str, password: str | None = None) -> Auditor:
    """Let a role read all tables and views of the database, also those of later versions; nothing else.

    It is made if it is not there. The server gets the password only in the form in which it keeps it.

    Args:
        password: of the role from now on; None leaves it as it is.

    Raises:
        DatabaseError: the database is a SQLite file; the name cannot be a role's; the role may do more than read; or
            whoever connects here may not make or grant that.
    """
    if db.dialect == "sqlite":
        raise DatabaseError(_on_sqlite(db))
    _check_name(name)

    def work(session: sa.orm.Session) -> Auditor:
        take_turns(session, "roles")  # the server refuses two that change one role at once
        connection = session.connection()
        is_new = connection.scalar(_of_role("SELECT 1 FROM pg_roles WHERE rolname = :name", name)) is None
        if is_new:
            _execute(connection, sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        else:
            _check_attributes(connection, name)
        if password is not None:
            _set_password(connection, name, password)
        for statement in _grants(connection, name):
            _execute(connection, statement)
        _check_rights(connection, name)
        return Auditor(name, is_new, _url(connection, name))

    try:
        return db.run_write(work)
    except DatabaseError as error:
        if _state(error) == "42501":
            raise DatabaseError(
                f"the user of this connection may not make or change the role {name}: connect as the database's owner"
                " with the right CREATEROLE, or as the administrator"
            ) from error
        raise


def _on_sqlite(db: Database) -> str:
    file = db.url.removeprefix("sqlite:///")
    return (
        f"{file} is a SQLite file, which knows no roles: who may read the file may read all of it, so set the file's"
        f" rights, or give the auditor a copy by `archive-colorizer database backup`; sqlite3 -readonly '{file}' opens"
        " it without changing it"
    )


def _check_name(name: str) -> None:
    what = f"{name!r} cannot be the name of a role"
    if not name.strip() or not name.isprintable():
        raise DatabaseError(f"{what}: give it one that can be seen")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        raise DatabaseError(f"{what}: give it one of at most {_LONGEST_NAME} bytes")
    if name.startswith("pg_") or name in ("public", "none"):
        raise DatabaseError(f"{what}, PostgreSQL keeps it for itself: give it another one")


def _check_attributes(connection: Connection, name: str) -> None:
    query = (
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin FROM pg_roles WHERE rolname = :name"
    )
    role = connection.execute(_of_role(query, name)).one()
    if role.rolsuper or role.rolcreaterole or role.rolcreatedb or role.rolreplication:
        raise DatabaseError(f"the role {name} administers the server and may do more than read: name another one")
    if not role.rolcanlogin:
        raise DatabaseError(f"the role {name} is a group that nobody can log in as: name another one")


def _set_password(connection: Connection, name: str, password: str) -> None:
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    kept = driver.pgconn.encrypt_password(password.encode(), name.encode())
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(kept.decode()))
    _execute(connection, statement)


def _grants(connection: Connection, name: str) -> Sequence[sql.Composed]:
    role = sql.Identifier(name)
    database = sql.Identifier(str(connection.scalar(sa.text("SELECT current_database()"))))
    schema = sql.Identifier(str(connection.scalar(sa.text("SELECT current_schema()"))))
    # Later versions' tables and views belong to whoever makes the upgrade: the owner of those that are there.
    owners = connection.scalars(
        sa.text(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')"
        )
    ).all()
    return [
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role),
        sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, role),
        *(
            sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}").format(
                sql.Identifier(str(owner)), schema, role
            )
            for owner in owners
        ),
        # No right hangs on this; what would be refused later is refused at once and in plain words.
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = on").format(role, database),
    ]


def _check_rights(connection: Connection, name: str) -> None:
    """Whatever else gives the role rights: ownership, membership in other roles, rights of everybody."""
    where = describe(connection.engine.url)
    for table in (*Base.metadata.tables, VERSION_TABLE):
        query = sa.select(sa.func.has_table_privilege(name, f'"{table}"', ", ".join(_WRITING)))
        if connection.scalar(query):
            raise DatabaseError(f"the role {name} may already write to the table {table} of {where}: name another one")
    schema, may_create = connection.execute(
        _of_role("SELECT current_schema(), has_schema_privilege(:name, current_schema(), 'CREATE')", name)
    ).one()
    if may_create:
        raise DatabaseError(
            f"the role {name} may make tables in the schema {schema} of {where}, as everybody there may:"
            f" REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC first"
        )


def _url(connection: Connection, name: str) -> str:
    url = connection.engine.url
    query = {key: value for key, value in url.query.items() if key not in ("user", "password", "passfile")}
    database = str(connection.scalar(sa.text("SELECT current_database()")))
    shown = sa.URL.create("postgresql", name, None, url.host, url.port, database, query)
    return shown.render_as_string().replace(" ", "%20")  # libpq takes no spaces


def _of_role(query: str, name: str) -> sa.TextClause:
    return sa.text(query).bindparams(name=name)


def _execute(connection: Connection, statement: sql.Composed) -> None:
    """Names and literals are quoted by the driver; a statement about roles takes no parameters."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    # sent by SQLAlchemy, so that its errors are told like all others; it reads % as the driver's sign
    connection.exec_driver_sql(statement.as_string(driver).replace("%", "%%"))


def _state(error: DatabaseError) -> str | None:
    cause = error.__cause__
    return getattr(cause.orig, "sqlstate", None) if isinstance(cause, sa.exc.DBAPIError) else None
