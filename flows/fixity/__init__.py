"""Verify: are masters, references and copies still what the database has on record, and is the record what it was?"""

from flows.fixity.ledger import COLUMNS, Ledger
from flows.fixity.opening import open_to_verify, parse_noted
from flows.fixity.verification import Result, Wanted, counts, verify

__all__ = ["COLUMNS", "Ledger", "Result", "Wanted", "counts", "open_to_verify", "parse_noted", "verify"]
