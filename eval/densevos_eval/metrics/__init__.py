"""Scores of masks: numpy only, no torch."""
