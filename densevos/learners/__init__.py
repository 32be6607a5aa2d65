"""Learners: each joins networks and objectives into one training step."""
