"""`python -m densevos_eval` is `densevos-eval`."""

from densevos_eval.cli import main

main()
