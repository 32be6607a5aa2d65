"""Trained networks at work on whole videos."""
