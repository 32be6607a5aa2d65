"""Learners: networks and objectives joined into one training step."""
