"""Many settings of propagation, scored on features that are computed once."""
