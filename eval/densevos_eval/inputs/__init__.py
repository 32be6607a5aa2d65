"""What a command works on: a benchmark or one's own video, or a labelled set."""
