"""From files to views: readers, clips, views, synthetic clips."""
