"""Metrics: how masks are scored. They use numpy and need no torch."""
