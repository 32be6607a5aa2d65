"""One file for each kind of encoder; each hands over a `Backbone`. `encoder.py` is the front
door.
"""
