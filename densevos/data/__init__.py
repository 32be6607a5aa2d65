"""Sources of videos, labelled sets, and the training samples that are made from them."""
