"""Methods: ways to learn, one file each.

`method.py` is the contract of a method, and `registry.py` finds methods by name.
"""
