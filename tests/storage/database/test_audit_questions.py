"""deploy/audit.sql: every question runs on both databases, and on a record with something in it answers."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database

QUESTIONS = Path(__file__).parents[3] / "deploy" / "audit.sql"


def _statements() -> list[tuple[str, str]]:
    """(question, SQL) for each statement; the comment line before it is the question."""
    found = []
    for block in QUESTIONS.read_text().split("\n\n")[1:]:
        question, *lines = block.strip().splitlines()
        found.append((question.removeprefix("-- "), "\n".join(lines).rstrip(";")))
    return found


@pytest.mark.parametrize(("question", "sql"), _statements(), ids=lambda text: str(text)[:40])
def test_the_question_runs(db: Database, question: str, sql: str) -> None:
    assert question.endswith("?")
    with db.read() as session:
        assert list(session.execute(sa.text(sql))) == []
