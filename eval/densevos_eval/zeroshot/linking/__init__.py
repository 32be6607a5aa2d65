"""Proposals of single frames, joined to tracks: one object through a video."""
