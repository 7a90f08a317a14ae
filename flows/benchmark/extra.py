"""The packages that only benchmarks need."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.errors import EnvironmentProblem


@contextmanager
def needing_extra() -> Iterator[None]:
    """Around the imports of what the extra `benchmark` installs.

    Raises:
        EnvironmentProblem: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            f'the package {error.name} is not installed; install it with: pip install "archive-colorizer[benchmark]"'
        ) from error
