"""Classes of every pixel: from a trained segmentation network and frames to masks."""
