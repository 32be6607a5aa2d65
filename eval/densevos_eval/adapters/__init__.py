"""One file for each kind of encoder, which returns a `Backbone`. Start with `encoder.py`."""
