"""`archive-colorizer run`: an archive, end to end."""

from flows.cli import options


def run(
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
    dry_run: options.DryRun = None,
    prefect: options.Prefect = None,
) -> int:
    """Colorize an archive: only what is new, changed or unfinished is done."""
    given = dict(locals())
    from flows.settings import run_settings

    settings = run_settings(given)  # first, so that wrong settings are told at once
    from flows.launch import launch

    return int(launch(settings).exit_code)
