"""`python -m densevos` is `densevos`."""

from densevos.cli import main

main()
