"""Encoders x benchmarks x presets: one plan, every combination run and scored, one table and one
page.
"""
