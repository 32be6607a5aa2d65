"""Score many settings of propagation on features that are computed once."""
