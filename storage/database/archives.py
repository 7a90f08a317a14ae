"""The archives that an output folder was made from."""

import sqlalchemy as sa

from storage.database.connection import Database
from storage.database.models import Run


def of_output(db: Database, output_root: str) -> list[str]:
    """The archives, in their order as text, of all runs into an output folder."""
    query = sa.select(Run.archive).where(Run.output_root == output_root).distinct().order_by(Run.archive)
    return db.run_read(lambda session: list(session.scalars(query)))
