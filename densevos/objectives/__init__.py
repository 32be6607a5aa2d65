"""Training objectives: pure functions of tensors, one per file."""
