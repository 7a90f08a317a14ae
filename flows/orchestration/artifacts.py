"""The one table and the one markdown artifact that a run leaves in Prefect."""

from flows.settings import RunSettings
from flows.summary import RunSummary
from storage.paths import path_to_text

FAILURES_LISTED = 50


def table_of(summary: RunSummary) -> list[dict[str, object]]:
    """Counts and stage medians as rows."""
    counts: list[tuple[str, object]] = [
        ("items", summary.items),
        ("done", summary.done),
        ("failed", summary.failed),
        ("doubtful reference", summary.low_matches),
        ("left out", summary.left_out),
        ("done before", summary.finished_before),
        ("seconds", round(summary.seconds, 1)),
    ]
    stages = [(f"median seconds {stage}", round(value, 3)) for stage, value in summary.stage_medians.items()]
    return [{"what": name, "value": value} for name, value in [*counts, *stages]]


def markdown_of(summary: RunSummary, settings: RunSettings) -> str:
    """The run in words, with where its gallery lies and what failed."""
    lines = [
        f"# Run {summary.run_id}",
        "",
        f"- archive: `{path_to_text(settings.archive)}`",
        f"- references: `{path_to_text(settings.references)}`",
        f"- output: `{path_to_text(settings.output)}`",
        f"- gallery: `{path_to_text(summary.gallery) if summary.gallery else '-'}`",
        f"- {summary.done} colorized, {len(summary.failures)} failed, {summary.left_out} left out",
    ]
    if summary.failures:
        lines += ["", "| file | step | what is wrong |", "|---|---|---|"]
        lines += [
            f"| {_cell(item.path)} | {_cell(item.stage)} | {_cell(item.message)} |"
            for item in summary.failures[:FAILURES_LISTED]
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
