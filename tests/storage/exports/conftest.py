"""`db` for what is exported from a database: on SQLite and on PostgreSQL."""

from tests.storage.database.conftest import db as db
from tests.storage.database.conftest import postgresql_server as postgresql_server
from tests.storage.database.conftest import postgresql_template as postgresql_template
from tests.storage.database.conftest import postgresql_url as postgresql_url
from tests.storage.database.conftest import sqlite_template as sqlite_template
from tests.storage.database.conftest import url as url
