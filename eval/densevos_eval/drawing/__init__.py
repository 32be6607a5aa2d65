"""Masks drawn over frames: pictures, legends, movies."""
