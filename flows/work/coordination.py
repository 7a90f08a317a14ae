"""The order of jobs: several documents and films are under way at once, as far as the crew has hands."""

from collections import deque
from collections.abc import Sequence

from flows.work.crew import Crew, LostJob
from flows.work.job import Answer, Course, Job


def do_all(courses: Sequence[Course], crew: Crew) -> None:
    """Take every course through its jobs. What follows from a job is done before what came behind it.

    Raises:
        FlowError, DatabaseError: what ends the run.
    """
    ready: deque[tuple[Course, Job]] = deque((course, job) for course in courses for job in course.begin())
    under_way: dict[int, Course] = {}  # by the job's identity: what it holds need not be hashable

    def follow(course: Course, jobs: Sequence[Job]) -> None:
        ready.extendleft((course, job) for job in reversed(jobs))

    with crew:
        while ready or under_way:
            while ready and len(under_way) < crew.capacity:
                course, job = ready.popleft()
                if course.wants(job):
                    under_way[id(job)] = course
                    crew.give(job)
                else:
                    follow(course, course.take(job, Answer()))
            if not under_way:
                continue
            try:
                job, answer = crew.take()
            except LostJob as lost:
                course = under_way.pop(id(lost.job))
                follow(course, course.lost(lost.job))
            else:
                course = under_way.pop(id(job))
                follow(course, course.take(job, answer))
