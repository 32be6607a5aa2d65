"""The commands of densevos-eval, one file a family; torch is imported inside of them."""
