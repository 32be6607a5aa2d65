"""Sequences to evaluate on: where frames, masks and annotations lie, and how they are read."""
