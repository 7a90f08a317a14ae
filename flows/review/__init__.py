"""Reviews: people look at results and decide; by commands, or on a local page."""
