"""Many sequences, several processes, interrupted and resumed."""
