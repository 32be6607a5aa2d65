"""One module for each labelled or unlabelled set, which loads it as a SegmentationSet."""
