"""Networks: dense ResNet trunks, projection head, the encoder file."""
