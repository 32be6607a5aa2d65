"""What a command works on: a benchmark, one's own video, or a labelled set."""
