"""What every training run shares: loop, optimisation, checkpoints, logs, provenance."""
