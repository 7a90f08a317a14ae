"""The audit views as revision 0002 makes them; the same SQL text for SQLite and PostgreSQL.

Their names and columns are promised to outside queries. Those that are not here are as in revision 0001.
"""

from storage.database.migrations.views_0001 import VIEWS as VIEWS_0001

# How often a reference was used: once by each photograph, once by each film for all its shots together, with
# the mean of these. A film is counted by its shots, not by its row in colorization. Both kinds are summed up
# for each reference before they meet, so that of photographs only an index is read, in its own order.
_REFERENCE = """
SELECT f.id AS reference_id, f.path, f.sha256,
       COALESCE(p.uses, 0) + COALESCE(s.uses, 0) AS times_used,
       (COALESCE(p.score, 0) + COALESCE(s.score, 0)) / NULLIF(COALESCE(p.scores, 0) + COALESCE(s.scores, 0), 0)
           AS mean_score,
       (COALESCE(p.confidence, 0) + COALESCE(s.confidence, 0))
           / NULLIF(COALESCE(p.confidences, 0) + COALESCE(s.confidences, 0), 0) AS mean_confidence
FROM reference f
LEFT JOIN (
    SELECT c.reference_id, COUNT(*) AS uses, SUM(c.reference_score) AS score, COUNT(c.reference_score) AS scores,
           SUM(c.confidence) AS confidence, COUNT(c.confidence) AS confidences
    FROM colorization c
    WHERE c.reference_id IS NOT NULL AND c.state = 'done'
      AND NOT EXISTS (SELECT 1 FROM shot t WHERE t.colorization_id = c.id)
    GROUP BY c.reference_id
) AS p ON p.reference_id = f.id
LEFT JOIN (
    SELECT u.reference_id, COUNT(*) AS uses, SUM(u.score) AS score, COUNT(u.score) AS scores,
           SUM(u.confidence) AS confidence, COUNT(u.confidence) AS confidences
    FROM (
        SELECT t.reference_id, t.colorization_id, AVG(t.reference_score) AS score, AVG(t.confidence) AS confidence
        FROM shot t
        WHERE t.reference_id IS NOT NULL
        GROUP BY t.reference_id, t.colorization_id
    ) AS u
    JOIN colorization c ON c.id = u.colorization_id
    WHERE c.state = 'done'
    GROUP BY u.reference_id
) AS s ON s.reference_id = f.id
WHERE f.error_type IS NULL
"""

_SHOT = """
SELECT s.run_id, i.path, s.number AS shot, s.first_frame, s.last_frame, s.frames, s.cut_score, s.reference_path,
       s.reference_sha256, s.reference_score, s.reference_rank, s.reference_choice, s.confidence, s.flicker, s.fps,
       s.seconds, s.seconds_read, s.seconds_network, s.seconds_motion, s.seconds_chroma, s.seconds_write,
       c.output_path
FROM shot s
JOIN colorization c ON c.id = s.colorization_id
JOIN item i ON i.id = c.item_id
"""

VIEWS = VIEWS_0001 | {"audit_reference": _REFERENCE, "audit_shot": _SHOT}
