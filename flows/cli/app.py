"""The commands. Each lives in a module of its own and imports torch, Prefect and the rooms only when it is called."""

from typing import Annotated

import typer

from flows.cli import (
    audit,
    benchmark,
    colorize,
    database,
    demo,
    evaluate,
    export,
    references,
    report,
    reproduce,
    review,
    run,
    serve,
    status,
    train,
    verify,
)
from flows.version import code_version

app = typer.Typer(
    name="archive-colorizer",
    help="Colour for digitized photographs, from colour photographs that resemble them; every step on record. "
    "Any option can also be set in the environment, e.g. ARCHIVE_COLORIZER_SIZE=768.",
    epilog="Exit codes: 0 all done; 1 wrong usage; 2 some items failed; 3 database, device or disk; 130 interrupted; "
    "141 the reader of the output is gone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"archive-colorizer {code_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks of errors (anywhere in the line).")] = False,
) -> None:
    """Options before the command; `--debug` is taken out in `flows.cli.entry`."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("colorize")(colorize.colorize)
app.add_typer(references.app, name="references")
app.add_typer(audit.app, name="audit")
app.add_typer(database.app, name="database")
app.command("verify")(verify.verify)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(review.app, name="review")
app.add_typer(export.app, name="export")
app.command("report")(report.report)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(evaluate.app, name="evaluate")
app.command("train")(train.train)
app.command("serve")(serve.serve)
app.command("status")(status.status)
