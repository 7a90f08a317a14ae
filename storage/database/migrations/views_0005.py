"""The audit views as revision 0005 makes them; the same SQL text for SQLite and PostgreSQL.

Their names and columns are promised to outside queries; new columns stand at the end. Those that are not here are as
in revision 0004.
"""

from storage.database.migrations.views_0004 import VIEWS as VIEWS_0004

_LATEST_REVIEW = (
    "(SELECT r.decision FROM review r WHERE r.colorization_id = c.id ORDER BY r.at DESC, r.id DESC LIMIT 1)"
)

_ITEM = f"""
SELECT c.run_id, i.path, i.kind, i.page, c.state, c.reference_path, c.reference_score, c.reference_rank,
       c.confidence, c.output_path, c.source_sha256, c.output_sha256, c.reference_sha256, c.weights_sha256,
       c.index_version, c.device, c.seconds,
       {_LATEST_REVIEW} AS review,
       c.created_at, c.match_confidence, c.low_match, c.reference_choice,
       c.item_id, c.id AS colorization_id, i.archive, c.output_root, c.superseded_at, c.reference_id
FROM colorization c
JOIN item i ON i.id = c.item_id
"""

_REST = f"""c.source_sha256, c.reference_id, c.reference_path, c.reference_sha256, c.reference_score, c.reference_rank,
       c.reference_choice, c.match_confidence, c.index_version, c.weights_sha256, u.code_version, u.parameters,
       c.network_size, c.device, c.precision, u.library_versions, c.started_at, c.created_at AS ended_at, c.seconds,
       c.peak_memory_bytes, c.confidence, {_LATEST_REVIEW} AS review, c.superseded_at, c.kept_path"""

# One row for each file that was made, with everything that it was made from.
_OUTPUT = f"""
SELECT c.id AS colorization_id, c.run_id, c.item_id, i.archive, i.path, i.kind, i.page, c.output_root, c.output_path,
       c.output_format, c.output_sha256, c.output_bytes, {_REST}
FROM colorization c
JOIN item i ON i.id = c.item_id
JOIN run u ON u.id = c.run_id
WHERE c.state = 'done'
UNION ALL
SELECT c.id AS colorization_id, c.run_id, c.item_id, i.archive, i.path, i.kind, i.page, c.output_root, p.output_path,
       p.output_format, p.output_sha256, p.output_bytes, {_REST}
FROM copy p
JOIN colorization c ON c.id = p.colorization_id
JOIN item i ON i.id = c.item_id
JOIN run u ON u.id = c.run_id
WHERE c.state = 'done'
"""

# The run is the same in both; that it is said lets PostgreSQL read of one run only its own colorizations.
_STAGE = """
SELECT t.run_id, t.colorization_id, i.path, i.page, t.stage, t.seconds
FROM stage_timing t
JOIN colorization c ON c.id = t.colorization_id AND c.run_id = t.run_id
JOIN item i ON i.id = c.item_id
"""

_REVIEW = """
SELECT r.id AS review_id, r.colorization_id, c.run_id, i.path, i.page, r.decision, r.reason, r.reviewer, r.at,
       f.path AS other_reference_path, r.shot
FROM review r
JOIN colorization c ON c.id = r.colorization_id
JOIN item i ON i.id = c.item_id
LEFT JOIN reference f ON f.id = r.reference_id
"""

_EVENT = """
SELECT e.id AS event_id, e.at, e.type, e.outcome, e.agent, e.run_id, i.path, i.page, e.message, e.sha256
FROM event e
LEFT JOIN colorization c ON c.id = e.colorization_id
LEFT JOIN item i ON i.id = c.item_id
"""

_FIXITY = """
SELECT what, path, finding, expected_sha256, found_sha256, checked_at
FROM fixity
"""

VIEWS = VIEWS_0004 | {
    "audit_item": _ITEM,
    "audit_output": _OUTPUT,
    "audit_stage": _STAGE,
    "audit_review": _REVIEW,
    "audit_event": _EVENT,
    "audit_fixity": _FIXITY,
}
