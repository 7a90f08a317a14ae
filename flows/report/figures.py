"""The figures of a run at the head of its gallery, ready to be drawn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from flows.report.evidence import Evidence, StageSeconds
from storage.database.records import RunColorization, StoredRun

MOST_USED = 10
"""So many references are named at the head."""
LONGEST_STAGES = 8
_BINS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `share` is its length in percent of the longest."""

    label: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the confidence of the pictures is distributed, in bins of equal width from 0 to 1."""

    bars: list[Bar]
    summary: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of the head."""

    counts: list[tuple[str, int]]
    stages: list[Bar]
    confidence: Histogram | None
    references: list[Bar]
    other_references: int
    facts: list[tuple[str, Any]]
    parameters: list[tuple[str, Any]]


def figures_of(run: StoredRun, rows: Sequence[RunColorization], evidence: Evidence) -> Figures:
    """Count what became of the items, and what was used for it. A film is one item, whatever its shots."""
    done = [row for row in rows if row.state == "done"]
    used: Counter[str] = Counter()
    for row in done:
        used.update({one.reference_path for one in (row.shots or (row,)) if one.reference_path})
    counts = run.counts
    return Figures(
        counts=[
            ("items", counts.items),
            ("colorized", counts.done),
            ("failed", counts.failed),
            ("left out", counts.skipped),
            ("doubtful references", sum(bool(row.low_match) for row in done)),
            ("reviewed", sum(evidence.decision(row.id) is not None for row in done)),
        ],
        stages=_bars(_stages(evidence.stages)),
        confidence=_histogram([row.confidence for row in done if row.confidence is not None]),
        references=_bars(
            [
                (path, count, f"{count} {'item' if count == 1 else 'items'}")
                for path, count in sorted(used.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_USED]
            ]
        ),
        other_references=max(0, len(used) - MOST_USED),
        facts=_facts(run),
        parameters=sorted(run.parameters.items()),
    )


def _facts(run: StoredRun) -> list[tuple[str, Any]]:
    facts = [
        ("archive", run.archive),
        ("references", run.references_root),
        ("started", f"{run.started_at:%Y-%m-%d %H:%M:%S %Z}"),
        ("seconds", f"{run.seconds:.1f}" if run.seconds is not None else "-"),
        ("state", run.state.replace("_", " ")),
        ("program", f"archive-colorizer {run.code_version} on {run.device}, {run.precision}"),
        ("weights (sha256)", run.weights_sha256),
        ("reference index", run.index_version),
        ("message", run.message),
    ]
    return [(name, value) for name, value in facts if value]


def _bars(values: Sequence[tuple[str, float, str]]) -> list[Bar]:
    longest = max((value for _, value, _ in values), default=0) or 1
    return [Bar(label, text, round(100 * value / longest, 2)) for label, value, text in values]


def _stages(stages: Sequence[StageSeconds]) -> list[tuple[str, float, str]]:
    """The stages that took the most, and the rest as one; behind the sum the median of an item."""
    ordered = sorted(stages, key=lambda one: -one.seconds)
    named, others = ordered[:LONGEST_STAGES], ordered[LONGEST_STAGES:]
    bars = [(one.stage, one.seconds, f"{one.seconds:.1f} s ({one.median:.3f} s)") for one in named]
    if others:
        seconds = sum(one.seconds for one in others)
        bars.append((f"{len(others)} others", seconds, f"{seconds:.1f} s"))
    return bars


def _histogram(values: Sequence[float]) -> Histogram | None:
    if not values:
        return None
    bins = [0] * _BINS
    for value in values:
        bins[min(_BINS - 1, max(0, int(value * _BINS)))] += 1
    return Histogram(
        _bars([(f"{n / _BINS:.2f} to {(n + 1) / _BINS:.2f}", count, str(count)) for n, count in enumerate(bins)]),
        f"{min(values):.2f} to {max(values):.2f}, median {median(values):.2f}",
    )
