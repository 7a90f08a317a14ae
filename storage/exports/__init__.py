"""Exports: what is on record, in the forms in which others take it."""
