"""From an encoder and given masks to masks of every frame."""
