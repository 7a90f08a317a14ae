"""The result of a run as one table for people."""

from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.summary import RunSummary

FAILURES_SHOWN = 20


def print_summary(summary: RunSummary, stream: TextIO) -> None:
    """Print counts, seconds, where the gallery lies, and the failed files with what is wrong."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    if summary.dry_run:
        console.print(
            f"dry run: {summary.pending} to colorize, {summary.finished_before} done already; nothing changed"
        )
    elif summary.run_id is None:
        console.print(
            f"nothing to do: {summary.finished_before} of {summary.items} items are done, {summary.left_out} left out"
        )
    else:
        console.print(_table(summary))
    if summary.gallery is not None:
        console.print(Text(f"gallery: {summary.gallery}"))
    if summary.failures:
        _print_failures(summary, console)


def _table(summary: RunSummary) -> Table:
    table = Table(title=f"Run {summary.run_id}", box=box.SIMPLE, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    rows: list[tuple[str, str]] = [
        ("items in the archive", str(summary.items)),
        ("colorized", str(summary.done)),
        ("done before", str(summary.finished_before)),
        ("left out", str(summary.left_out)),
        ("failed", str(len(summary.failures))),
        ("seconds", f"{summary.seconds:.1f}"),
        ("peak memory, MB", f"{summary.peak_memory_bytes / 1e6:.0f}"),
    ]
    if summary.low_matches:
        rows.insert(2, ("of these with a doubtful reference", str(summary.low_matches)))
    rows += [(f"{stage}, median seconds an item", f"{value:.3f}") for stage, value in summary.stage_medians.items()]
    for name, value in rows:
        table.add_row(name, value)
    return table


def _print_failures(summary: RunSummary, console: Console) -> None:
    console.print(Text(f"failed ({len(summary.failures)}):"))
    for item in summary.failures[:FAILURES_SHOWN]:
        prefix = "" if item.path in item.message else f"{item.path}: "
        console.print(Text(f"  {prefix}{item.message}"))
    if len(summary.failures) > FAILURES_SHOWN:
        rest = len(summary.failures) - FAILURES_SHOWN
        console.print(Text(f"  ... and {rest} more; `archive-colorizer audit failures` lists them all"))
