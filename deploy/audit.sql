-- Questions that archives ask, on the stable views; the same text runs on SQLite and PostgreSQL.
--   sqlite3 OUTPUT/provenance.db < deploy/audit.sql

-- How did the runs end?
SELECT run_id, started_at, state, items, done, failed, skipped, seconds FROM audit_run ORDER BY run_id DESC;

-- Which pictures were coloured by machine, from which reference, by which weights?
SELECT path, output_path, reference_path, reference_score, weights_sha256 FROM audit_item WHERE state = 'done' ORDER BY path;

-- Which masters could not be read, and why?
SELECT path, stage, message FROM audit_failure ORDER BY path;

-- Which results should a curator look at first?
SELECT path, confidence, reference_path, reference_score FROM audit_item WHERE state = 'done' ORDER BY confidence LIMIT 20;

-- Which shots of films should a curator look at first?
SELECT path, shot, first_frame, last_frame, reference_path, confidence, flicker FROM audit_shot ORDER BY confidence LIMIT 20;

-- Which references were used most (superseded results included), and do they serve well?
SELECT path, times_used, mean_score, mean_confidence FROM audit_reference WHERE times_used > 0 ORDER BY times_used DESC;

-- Which references were never chosen?
SELECT path FROM audit_reference WHERE times_used = 0 ORDER BY path;

-- Was any picture coloured from a reference that is on record under another digest now?
SELECT i.path, i.reference_path FROM audit_item i LEFT JOIN audit_reference r ON r.sha256 = i.reference_sha256
WHERE i.state = 'done' AND r.reference_id IS NULL;

-- Where does the time go?
SELECT run_id, stage, items, seconds_total, seconds_median, seconds_p95 FROM audit_runtime ORDER BY run_id, seconds_total DESC;

-- Were different weights used for different results?
SELECT weights_sha256, COUNT(*) AS results, MIN(created_at) AS first, MAX(created_at) AS last
FROM audit_item WHERE state = 'done' GROUP BY weights_sha256;

-- Which results has nobody reviewed?
SELECT path, output_path FROM audit_item WHERE state = 'done' AND review IS NULL ORDER BY path;
