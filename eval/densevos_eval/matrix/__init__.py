"""Encoders x benchmarks x presets: run and score every combination of one plan."""
