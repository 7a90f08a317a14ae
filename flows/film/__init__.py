"""Films on their way through a run: analysed, colorized shot by shot in segments, joined."""
