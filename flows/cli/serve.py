"""`archive-colorizer serve`: the run on a schedule, on this machine."""

from typing import Annotated

import typer

from flows.cli import options


def serve(
    cron: Annotated[
        str,
        typer.Option(
            "--cron",
            metavar="CRON",
            envvar="ARCHIVE_COLORIZER_CRON",
            help='When to run, as in crontab(5): "0 2 * * *" is every night at two.',
        ),
    ],
    archive: options.Archive = None,
    references: options.References = None,
    output: options.Output = None,
    database: options.Database = None,
    size: options.Size = None,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    attention: options.AttentionOption = None,
    candidates: options.Candidates = None,
    variety: options.Variety = None,
    low_match: options.LowMatch = None,
    skip_low_match: options.SkipLowMatch = None,
    rights: options.Rights = None,
    tags: options.Tags = None,
    years: options.Years = None,
    only_references: options.OnlyReferences = None,
    never_references: options.NeverReferences = None,
    format: options.Formats = None,
    access: options.Access = None,
    pdf: options.Pdf = None,
    pdf_quality: options.PdfQuality = None,
    colorize_all: options.ColorizeAll = None,
    film_format: options.FilmFormats = None,
    reference: options.Reference = None,
    pins: options.Pins = None,
    shot_threshold: options.ShotThreshold = None,
    steady: options.Steady = None,
    sequences: options.SequencesOption = None,
    sequence_rate: options.SequenceRate = None,
    vgg_weights: options.VggWeights = None,
    max_pixels: options.MaxPixels = None,
    retry_failed: options.RetryFailed = None,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    log: options.Log = None,
    log_form: options.LogForm = None,
    metrics: options.Metrics = None,
) -> None:
    """Colorize an archive on a schedule, until stopped (exit code 0).

    Starts a Prefect server, or uses the one of PREFECT_API_URL.
    """
    given = dict(locals())
    from flows.settings import run_settings

    settings = run_settings(given)
    from flows.orchestration.schedule import serve_schedule

    serve_schedule(settings, cron)
