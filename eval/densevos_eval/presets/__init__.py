"""Published protocols of label propagation, one file each.

A protocol fixes everything from a frame to a score, except the encoder.
"""
