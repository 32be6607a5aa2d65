"""Shared by both packages: errors, files, masks, worker processes and the console."""
