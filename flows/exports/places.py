"""Where an export may lie."""

from pathlib import Path

from flows.errors import UsageError
from storage.database import Database, exporting
from storage.paths import path_to_text, text_to_path


def check_apart(database: Database, target: Path, output_root: str, *, in_output: bool = False) -> None:
    """See that an export does not come into what the runs into an output folder read, nor take that up into it.

    Args:
        in_output: it may come into the output folder itself.

    Raises:
        UsageError: `target` and the output folder, an archive or a reference library lie one in the other.
    """
    place = target.resolve()
    runs = exporting.runs_into(database, output_root)
    roots = {run.archive: "archive" for run in runs} | {run.references_root: "references" for run in runs}
    if not in_output:
        roots[output_root] = "output folder"
    for root, what in sorted(roots.items()):
        folder = text_to_path(root).resolve()
        if place.is_relative_to(folder) or folder.is_relative_to(place):
            raise UsageError(
                f"{path_to_text(target)} and the {what} {root} lie one in the other; name a place beside them"
            )
