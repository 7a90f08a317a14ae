"""Where an export may lie."""

from pathlib import Path

from flows.errors import UsageError
from storage.database import Database, archives
from storage.paths import path_to_text, text_to_path


def check_apart(database: Database, target: Path, output_root: str) -> None:
    """See that an export's target and the output folder, or an archive it was made from, do not lie in each other.

    Raises:
        UsageError: they do.
    """
    place = target.resolve()
    roots = [("output folder", output_root)]
    roots += [("archive", archive) for archive in archives.of_output(database, output_root)]
    for what, root in roots:
        folder = text_to_path(root).resolve()
        if folder == place or folder in place.parents or place in folder.parents:
            raise UsageError(
                f"{path_to_text(target)} and the {what} {root} lie one in the other; name a folder beside them"
            )
