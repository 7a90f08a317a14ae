"""Storage: what is read and what is kept (masters, derivatives, fixity, the provenance database)."""
