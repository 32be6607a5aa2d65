"""Networks: backbones, the encoder and its file, MuG's network, discriminators."""
