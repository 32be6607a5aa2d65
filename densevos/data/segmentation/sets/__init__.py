"""One file for each labelled or unlabelled set: its layout, its classes, and how it becomes a
SegmentationSet.
"""
