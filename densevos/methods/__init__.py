"""Methods: what a kind of training needs, one file each. `method.py` is the contract, `registry.py`
finds them.
"""
