"""Published protocols of label propagation, one file each: everything from a frame to a score but
the encoder.
"""
