"""densevos: learn dense video representations from video without labels."""

__version__ = "0.1.0"
