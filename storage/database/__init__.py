"""The provenance database: runs, items, references, matches, colorizations, timings and reviews."""
