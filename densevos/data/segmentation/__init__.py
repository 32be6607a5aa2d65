"""Labelled and unlabelled sets of images and videos for semantic segmentation; samples.py alone
needs torch.
"""
