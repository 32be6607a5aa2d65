"""Sequences to evaluate on: where frames, given masks and annotations lie, and how they are
read.
"""
