"""Training objectives: pure functions of tensors, one objective per file."""
