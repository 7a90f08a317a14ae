"""A plan as courses: the photographs, then each document, then each film."""

from collections.abc import Sequence
from itertools import groupby

from flows.documents.course import DocumentCourse
from flows.film.course import FilmCourse
from flows.planning import Plan
from flows.work.job import Course
from flows.work.lost import Record
from flows.work.photographs import PhotographCourse


def courses_of(plan: Plan, batch_size: int, record: Record) -> Sequence[Course]:
    """What takes everything pending to its outcome.

    Args:
        batch_size: photographs in one job.
        record: puts outcomes on record that no worker could.
    """
    photographs = [item for item in plan.pending if item.kind == "photograph"]
    pages = [item for item in plan.pending if item.kind == "page"]
    courses: list[Course] = [PhotographCourse(photographs, batch_size, record)]
    courses += [DocumentCourse([*document], record) for _, document in groupby(pages, key=lambda item: item.path)]
    courses += [FilmCourse(item, record) for item in plan.pending if item.kind == "film"]
    return courses
