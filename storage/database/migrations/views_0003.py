"""The audit views as revision 0003 makes them; the same SQL text for SQLite and PostgreSQL.

Their names and columns are promised to outside queries; new columns stand at the end. Those that are not here are as
in revision 0002.
"""

from storage.database.migrations.views_0002 import VIEWS as VIEWS_0002

_ITEM = """
SELECT c.run_id, i.path, i.kind, i.page, c.state, c.reference_path, c.reference_score, c.reference_rank,
       c.confidence, c.output_path, c.source_sha256, c.output_sha256, c.reference_sha256, c.weights_sha256,
       c.index_version, c.device, c.seconds,
       (SELECT r.decision FROM review r WHERE r.colorization_id = c.id ORDER BY r.at DESC, r.id DESC LIMIT 1)
           AS review,
       c.created_at, c.match_confidence, c.low_match
FROM colorization c
JOIN item i ON i.id = c.item_id
"""

_SHOT = """
SELECT s.run_id, i.path, s.number AS shot, s.first_frame, s.last_frame, s.frames, s.cut_score, s.reference_path,
       s.reference_sha256, s.reference_score, s.reference_rank, s.reference_choice, s.confidence, s.flicker, s.fps,
       s.seconds, s.seconds_read, s.seconds_network, s.seconds_motion, s.seconds_chroma, s.seconds_write,
       c.output_path, s.match_confidence, s.low_match
FROM shot s
JOIN colorization c ON c.id = s.colorization_id
JOIN item i ON i.id = c.item_id
"""

VIEWS = VIEWS_0002 | {"audit_item": _ITEM, "audit_shot": _SHOT}
