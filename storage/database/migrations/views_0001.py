"""The audit views as revision 0001 makes them; the same SQL text for SQLite and PostgreSQL.

Their names and columns are promised to outside queries.
"""

_RUN = """
SELECT id AS run_id, flow_run_id, started_at, ended_at, state, items, done, failed, skipped, seconds,
       code_version, weights_sha256, parameters
FROM run
"""

_ITEM = """
SELECT c.run_id, i.path, i.kind, i.page, c.state, c.reference_path, c.reference_score, c.reference_rank,
       c.confidence, c.output_path, c.source_sha256, c.output_sha256, c.reference_sha256, c.weights_sha256,
       c.index_version, c.device, c.seconds,
       (SELECT r.decision FROM review r WHERE r.colorization_id = c.id ORDER BY r.at DESC, r.id DESC LIMIT 1)
           AS review,
       c.created_at
FROM colorization c
JOIN item i ON i.id = c.item_id
"""

_FAILURE = """
SELECT c.run_id, i.path, c.stage, c.error_type, c.message, c.created_at AS at
FROM colorization c
JOIN item i ON i.id = c.item_id
WHERE c.state = 'failed'
UNION ALL
SELECT f.added_by_run_id AS run_id, f.path, 'reference' AS stage, f.error_type, f.message, f.added_at AS at
FROM reference f
WHERE f.error_type IS NOT NULL
"""

_REFERENCE = """
SELECT f.id AS reference_id, f.path, f.sha256, COUNT(c.id) AS times_used,
       AVG(c.reference_score) AS mean_score, AVG(c.confidence) AS mean_confidence
FROM reference f
LEFT JOIN colorization c ON c.reference_id = f.id AND c.state = 'done'
WHERE f.error_type IS NULL
GROUP BY f.id, f.path, f.sha256
"""

# A row that stands for n items counts as n times its mean. `reached` is how many items took at most that
# long: the median lies where it passes half of the total (the mean of two items where it just reaches half),
# the 95th percentile (nearest rank) where it first comes to 95 % of it. Windows instead of GROUP BY, because
# SQLite carries a condition on run_id through partitions, but not through groups, down to the index.
_RUNTIME = """
SELECT run_id, stage, items, seconds_total, (median_low + median_high) / 2 AS seconds_median, seconds_p95
FROM (
    SELECT run_id, stage,
           CAST(SUM(items) OVER (PARTITION BY run_id, stage) AS BIGINT) AS items,
           SUM(seconds) OVER (PARTITION BY run_id, stage) AS seconds_total,
           MIN(CASE WHEN 2 * reached >= total THEN seconds_each END) OVER (PARTITION BY run_id, stage)
               AS median_low,
           MIN(CASE WHEN 2 * reached > total THEN seconds_each END) OVER (PARTITION BY run_id, stage)
               AS median_high,
           MIN(CASE WHEN 100 * reached >= 95 * total THEN seconds_each END) OVER (PARTITION BY run_id, stage)
               AS seconds_p95,
           ROW_NUMBER() OVER (PARTITION BY run_id, stage ORDER BY id) AS place
    FROM (
        SELECT id, run_id, stage, items, seconds, seconds_each,
               SUM(weight) OVER (PARTITION BY run_id, stage ORDER BY seconds_each, id
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS reached,
               SUM(weight) OVER (PARTITION BY run_id, stage) AS total
        FROM (
            SELECT id, run_id, stage, items, seconds,
                   CASE WHEN items > 1 THEN seconds / items ELSE seconds END AS seconds_each,
                   CAST(CASE WHEN items > 1 THEN items ELSE 1 END AS INTEGER) AS weight
            FROM stage_timing
        ) AS each_timing
    ) AS ranked_timing
) AS summed_timing
WHERE place = 1
"""

VIEWS = {
    "audit_run": _RUN,
    "audit_item": _ITEM,
    "audit_failure": _FAILURE,
    "audit_reference": _REFERENCE,
    "audit_runtime": _RUNTIME,
}
