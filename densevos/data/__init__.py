"""From sources of videos and labelled sets to training samples."""
