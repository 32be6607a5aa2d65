"""Layouts of video data sets, as their authors distribute them: one file each."""
