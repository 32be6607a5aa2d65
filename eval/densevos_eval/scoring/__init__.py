"""Scores of masks on disk or in memory: what is scored, against what, and the tables."""
