"""densevos_eval: judge dense encoders by propagating masks through video."""
