"""Sources of videos, and readers of their frames."""
