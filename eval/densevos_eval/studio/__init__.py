"""The studio: mark objects of one clip in the browser, propagate, correct, export."""
