"""Masks as scripts read and write them; they live in densevos.base.masks."""

from densevos.base.masks import davis_palette, open_mask, read_mask, write_mask

__all__ = ["davis_palette", "open_mask", "read_mask", "write_mask"]
