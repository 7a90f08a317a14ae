"""What happens in which order: settings, command line, the archive run, progress and report."""
