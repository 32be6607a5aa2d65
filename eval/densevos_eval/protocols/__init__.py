"""Benchmarks, one file each: where their files lie, what is scored, and by which rules."""
