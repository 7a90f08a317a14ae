-- Questions that archives ask, on the stable views; the same text runs on SQLite and PostgreSQL.
--   sqlite3 -box OUTPUT/provenance.db < deploy/audit.sql        psql DATABASE -f deploy/audit.sql
-- What stands in quotes is an example: put your own path, digest, version or day there. Without the comment signs
-- around /* AND run_id = 1 */ a question is about one run, which a large library answers at once.

-- How did the runs end?
SELECT run_id, started_at, ended_at, state, items, done, failed, skipped, seconds FROM audit_run ORDER BY run_id DESC;

-- Which pictures are coloured by machine, and from what were they made?
SELECT archive, path, page, source_sha256, output_root, output_path, output_sha256, reference_path, reference_sha256,
       reference_choice, reference_score, weights_sha256, code_version, parameters, ended_at, review
FROM audit_output WHERE superseded_at IS NULL /* AND run_id = 1 */ ORDER BY archive, path, page, output_path;

-- Which results rest on a given reference, films by any of their shots?
SELECT path, page, output_path, NULL AS shot FROM audit_output
WHERE reference_sha256 LIKE '9f2c%' AND superseded_at IS NULL /* AND run_id = 1 */
UNION ALL
SELECT path, 1, output_path, shot FROM audit_shot WHERE reference_sha256 LIKE '9f2c%' /* AND run_id = 1 */
ORDER BY 1, 2, 3, 4;

-- Which results have a reference without a statement of rights?
SELECT o.output_path, r.path AS reference_path, r.creator
FROM audit_output o JOIN audit_reference r ON r.reference_id = o.reference_id
WHERE r.rights IS NULL AND o.superseded_at IS NULL /* AND run_id = 1 */ ORDER BY o.output_path;

-- Was any picture coloured from a reference that is on record under another digest now?
SELECT i.path, i.reference_path FROM audit_item i LEFT JOIN audit_reference r ON r.sha256 = i.reference_sha256
WHERE i.state = 'done' AND i.reference_sha256 IS NOT NULL AND r.reference_id IS NULL /* AND run_id = 1 */
ORDER BY i.path;

-- Which references were used most (superseded results included), and how confident are the results?
SELECT path, times_used, mean_score, mean_confidence FROM audit_reference WHERE times_used > 0
ORDER BY times_used DESC, path;

-- Which references were never chosen?
SELECT path FROM audit_reference WHERE times_used = 0 ORDER BY path;

-- Which results were kept though their reference hardly matched?
SELECT path, page, reference_path, match_confidence, confidence, review FROM audit_item
WHERE low_match AND state = 'done' AND superseded_at IS NULL /* AND run_id = 1 */ ORDER BY match_confidence, path;

-- Which results should a curator look at first: of little confidence, and reviewed by nobody?
SELECT path, page, output_path, confidence, reference_path FROM audit_item
WHERE state = 'done' AND review IS NULL AND superseded_at IS NULL AND confidence < 0.5 /* AND run_id = 1 */
ORDER BY confidence, path LIMIT 100;

-- Which shots of films should a curator look at first?
SELECT path, shot, first_frame, last_frame, reference_path, confidence, flicker FROM audit_shot
WHERE confidence IS NOT NULL /* AND run_id = 1 */ ORDER BY confidence, path, shot LIMIT 20;

-- What was rejected or replaced, by whom, and why?
SELECT path, page, shot, decision, reason, reviewer, at, other_reference_path FROM audit_review
WHERE decision <> 'approved' /* AND run_id = 1 */ ORDER BY at, review_id;

-- Which results are superseded, where were they put, and what counts instead?
SELECT o.path, o.page, o.run_id, o.output_sha256, o.superseded_at, o.kept_path, n.run_id AS instead_run_id,
       n.state AS instead_state, n.output_sha256 AS instead_sha256, n.reference_path AS instead_reference_path
FROM audit_output o
LEFT JOIN audit_item n ON n.item_id = o.item_id AND n.output_root = o.output_root AND n.superseded_at IS NULL
WHERE o.superseded_at IS NOT NULL /* AND o.run_id = 1 */ ORDER BY o.path, o.page, o.run_id, o.output_path;

-- Which masters could not be coloured, and why?
SELECT run_id, path, stage, error_type, message FROM audit_failure WHERE stage <> 'reference' /* AND run_id = 1 */
ORDER BY path, run_id;

-- How often did what fail?
SELECT stage, error_type, COUNT(*) AS failures, MIN(at) AS first, MAX(at) AS last FROM audit_failure
WHERE stage IS NOT NULL /* AND run_id = 1 */ GROUP BY stage, error_type ORDER BY failures DESC, stage, error_type;

-- Which files are not as they were made, or gone?
SELECT what, path, finding, expected_sha256, found_sha256, checked_at FROM audit_fixity
WHERE finding IN ('changed', 'missing', 'unreadable') ORDER BY path;

-- Which results have not been verified since a given day, or never?
SELECT o.output_root, o.output_path, f.checked_at
FROM audit_output o
LEFT JOIN audit_fixity f ON f.what = 'output' AND f.path = o.output_root || '/' || o.output_path
WHERE o.superseded_at IS NULL AND (f.checked_at IS NULL OR f.checked_at < '2026-01-01T00:00:00+00:00')
      /* AND run_id = 1 */ ORDER BY f.checked_at IS NOT NULL, f.checked_at, o.output_path;

-- Which results were made from masters that have changed since?
SELECT o.archive, o.path, o.page, o.output_path, o.source_sha256, f.found_sha256, f.checked_at
FROM audit_output o JOIN audit_fixity f ON f.what = 'source' AND f.path = o.archive || '/' || o.path
WHERE f.finding = 'changed' AND o.superseded_at IS NULL /* AND run_id = 1 */ ORDER BY o.path, o.page, o.output_path;

-- What was made by given weights, a given version of the program, or of a library?
SELECT run_id, path, page, output_path, weights_sha256, code_version FROM audit_output
WHERE (weights_sha256 LIKE '77aa%' OR code_version = '0.3.0'
       OR CAST(library_versions AS TEXT) LIKE '%"torch": "2.12.0"%') /* AND run_id = 1 */
ORDER BY run_id, path, page, output_path;

-- Were different weights used for different results?
SELECT weights_sha256, COUNT(*) AS results, MIN(created_at) AS first, MAX(created_at) AS last
FROM audit_item WHERE state = 'done' /* AND run_id = 1 */ GROUP BY weights_sha256 ORDER BY first, weights_sha256;

-- Where did the time of a run go?
SELECT stage, items, seconds_total, seconds_median, seconds_p95 FROM audit_runtime WHERE run_id = 1
ORDER BY seconds_total DESC, stage;

-- Which items of a run took longest, and in which stage?
SELECT path, page, stage, seconds FROM audit_stage WHERE run_id = 1 ORDER BY seconds DESC, path, page LIMIT 20;

-- Which outputs are larger than a gigabyte?
SELECT output_root, output_path, output_format, output_bytes FROM audit_output
WHERE output_bytes > 1000000000 AND superseded_at IS NULL /* AND run_id = 1 */ ORDER BY output_bytes DESC, output_path;

-- Which documents are coloured, and how many of their pages?
SELECT archive, path, COUNT(*) AS pages, SUM(CASE WHEN state = 'done' THEN 1 ELSE 0 END) AS coloured,
       SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed
FROM audit_item WHERE kind = 'page' AND superseded_at IS NULL /* AND run_id = 1 */ GROUP BY archive, path
ORDER BY archive, path;

-- What happened to one picture?
SELECT at, type, outcome, agent, message FROM audit_event WHERE path = 'plates/mill.tif'
UNION ALL
SELECT created_at, 'colorization', state, 'run ' || run_id, output_path FROM audit_item WHERE path = 'plates/mill.tif'
UNION ALL
SELECT superseded_at, 'superseded', state, 'run ' || run_id, output_path FROM audit_item
WHERE path = 'plates/mill.tif' AND superseded_at IS NOT NULL
ORDER BY 1;

-- What was done on a given day?
SELECT at, type, outcome, agent, run_id, path, message FROM audit_event
WHERE at >= '2026-03-01T00:00:00+00:00' AND at < '2026-03-02T00:00:00+00:00' /* AND run_id = 1 */ ORDER BY event_id;
