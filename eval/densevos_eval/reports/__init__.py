"""Scores read back, compared, drawn and told."""
