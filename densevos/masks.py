"""Read and write masks from Python scripts; the functions are those of densevos.base.masks."""

from densevos.base.masks import davis_palette, open_mask, read_mask, write_mask

__all__ = ["davis_palette", "open_mask", "read_mask", "write_mask"]
