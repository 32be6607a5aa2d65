"""Sequences, stills and bad video made from a seed, with exact masks."""
