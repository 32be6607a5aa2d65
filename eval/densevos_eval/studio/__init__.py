"""The studio: mark objects of one video in the browser, propagate, correct, export."""
