"""An evaluation of the network from the command line's point of view: settings in, table rows and files out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.engine import loading_networks, resolve_device
from flows.errors import EnvironmentProblem, UsageError
from flows.progress import Progress
from flows.version import code_version
from storage.fixity import atomic_write
from storage.paths import path_to_text

if TYPE_CHECKING:
    from sscn.evaluation import Evaluation, Method, PhotographSet
    from sscn.evaluation.comparison import Finished


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What to evaluate, and where its results go."""

    data: Path | None
    """Folder of held-out colour photographs; None: film only."""
    weights: Path | None
    compare: tuple[Path, ...]
    size: int
    limit: int | None
    rows: tuple[str, ...]
    output: Path | None
    sheets: Path | None
    device: str


def evaluate_network(settings: EvaluationSettings, progress: Progress) -> list[dict[str, object]]:
    """Evaluate, write what is asked for, and return the table's rows.

    Raises:
        UsageError: the folder or a file is not there, or has nothing usable in it.
        EnvironmentProblem: a package of the extra `evaluate` is missing, or weights are damaged.
    """
    _check(settings)
    device = resolve_device(settings.device)
    try:
        from sscn.evaluation import MissingExtra, PhotographSet, chosen_rows, evaluate, make_methods
        from sscn.evaluation.sheets import ContactSheets
    except ModuleNotFoundError as error:
        raise EnvironmentProblem(
            f'the package {error.name} is not installed; install it with: pip install "archive-colorizer[evaluate]"'
        ) from error
    rows = chosen_rows(settings.rows)
    with loading_networks():
        methods = make_methods(
            rows, device=device, size=settings.size, weights=settings.weights, compare=settings.compare
        )
    photographs = None
    if settings.data is not None:
        progress.say(f"looking at the photographs in {path_to_text(settings.data)}")
        photographs = PhotographSet.open(settings.data)
        if photographs.unused:
            progress.say(f"not used: {len(photographs.unused)} file(s), for instance {photographs.unused[0]}")
    shown = [method.name for method in methods if method.name.split()[0] in ("warp", "sparse")]
    sheets = ContactSheets(shown)

    def finished(case: "Finished") -> None:
        if settings.sheets is not None:
            sheets.add(case)
        progress.advance()

    try:
        evaluation = evaluate(
            methods,
            photographs,
            limit=settings.limit,
            begin=lambda total: progress.begin(total, "pictures"),
            finished=finished,
        )
    except MissingExtra as error:
        raise EnvironmentProblem(str(error)) from error
    if settings.output is not None:
        document = _document(settings, device, methods, photographs, evaluation)
        with atomic_write(settings.output) as partial:
            partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if settings.sheets is not None:
        for name, sheet in sheets.sheets().items():
            with atomic_write(settings.sheets / f"{name}.png") as partial:
                sheet.save(partial, format="PNG")
    return _rows(evaluation)


def _check(settings: EvaluationSettings) -> None:
    if settings.data is not None and not settings.data.is_dir():
        where = path_to_text(settings.data)
        raise UsageError(f"there is no folder {where}; --data names a folder of colour photographs")
    for path in filter(None, (settings.weights, *settings.compare)):
        if not path.is_file():
            raise UsageError(f"there is no file {path_to_text(path)}; name a file with the network's learned weights")
    # found out now rather than after the work
    if settings.output is not None and settings.output.is_dir():
        raise UsageError(f"{path_to_text(settings.output)} is a folder; --output names a JSON file")
    if settings.sheets is not None and settings.sheets.exists() and not settings.sheets.is_dir():
        raise UsageError(f"{path_to_text(settings.sheets)} is a file; --sheets names a folder")
    for path in filter(None, (settings.output, settings.sheets)):
        if settings.data is not None and path.resolve().is_relative_to(settings.data.resolve()):
            raise UsageError(f"{path_to_text(path)} lies among the photographs of --data; choose another place for it")


def _rows(evaluation: "Evaluation", *, by_variant: bool = False) -> list[dict[str, object]]:
    return [
        {"kind": mean.kind, **({"variant": mean.variant} if by_variant else {}), "method": mean.method}
        | {"pictures": mean.pictures}
        | dict(mean.figures)
        for mean in evaluation.means(by_variant=by_variant)
    ]


def _document(
    settings: EvaluationSettings,
    device: str,
    methods: "Sequence[Method]",
    photographs: "PhotographSet | None",
    evaluation: "Evaluation",
) -> dict[str, object]:
    """All that is known of an evaluation, for programs and for later comparison."""
    return {
        "code_version": code_version(),
        "device": device,
        "size": settings.size,
        "data": None if settings.data is None else path_to_text(settings.data),
        "photographs": 0 if photographs is None else len(photographs),
        "unused": [] if photographs is None else list(photographs.unused),
        "limit": settings.limit,
        "methods": [
            {"name": one.name, "weights_sha256": one.weights_sha256, "parameters": one.parameters} for one in methods
        ],
        "means": _rows(evaluation),
        "means_by_variant": _rows(evaluation, by_variant=True),
        "cases": [
            {
                "kind": case.kind,
                "variant": case.variant,
                "name": case.name,
                "reference": case.reference_name,
                "method": case.method,
                **case.figures,
            }
            for case in evaluation.cases
        ],
    }
