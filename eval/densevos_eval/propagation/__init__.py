"""Label propagation: an encoder and given masks make masks of every frame."""
