"""Segmentation networks with named feature taps, which adversarial losses see."""
