"""What may be an object in one frame: masks with a score, from several kinds of sources."""
