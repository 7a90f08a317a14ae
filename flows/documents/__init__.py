"""Documents: their pages are colorized one by one and become one copy together."""
