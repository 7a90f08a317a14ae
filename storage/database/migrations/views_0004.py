"""The audit views as revision 0004 makes them; the same SQL text for SQLite and PostgreSQL.

Their names and columns are promised to outside queries; new columns stand at the end. Those that are not here are as
in revision 0003.
"""

from storage.database.migrations.views_0003 import VIEWS as VIEWS_0003

_ITEM = """
SELECT c.run_id, i.path, i.kind, i.page, c.state, c.reference_path, c.reference_score, c.reference_rank,
       c.confidence, c.output_path, c.source_sha256, c.output_sha256, c.reference_sha256, c.weights_sha256,
       c.index_version, c.device, c.seconds,
       (SELECT r.decision FROM review r WHERE r.colorization_id = c.id ORDER BY r.at DESC, r.id DESC LIMIT 1)
           AS review,
       c.created_at, c.match_confidence, c.low_match, c.reference_choice
FROM colorization c
JOIN item i ON i.id = c.item_id
"""

# Why it is put so: see revision 0002.
_REFERENCE = """
SELECT f.id AS reference_id, f.path, f.sha256,
       COALESCE(p.uses, 0) + COALESCE(s.uses, 0) AS times_used,
       (COALESCE(p.score, 0) + COALESCE(s.score, 0)) / NULLIF(COALESCE(p.scores, 0) + COALESCE(s.scores, 0), 0)
           AS mean_score,
       (COALESCE(p.confidence, 0) + COALESCE(s.confidence, 0))
           / NULLIF(COALESCE(p.confidences, 0) + COALESCE(s.confidences, 0), 0) AS mean_confidence,
       f.caption, f.rights, f.creator, f.created
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

VIEWS = VIEWS_0003 | {"audit_item": _ITEM, "audit_reference": _REFERENCE}
