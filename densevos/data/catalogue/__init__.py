"""Layouts of video datasets as their authors distribute them, one file per dataset."""
