"""Labelled and unlabelled sets of images and videos for semantic segmentation.

Only samples.py needs torch.
"""
