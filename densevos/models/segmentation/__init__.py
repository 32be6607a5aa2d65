"""Segmentation networks with named taps: layers whose features an adversarial loss sees."""
