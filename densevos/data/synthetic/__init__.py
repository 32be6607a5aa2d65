"""Synthetic sequences, stills and degraded videos with exact masks, made from a seed."""
