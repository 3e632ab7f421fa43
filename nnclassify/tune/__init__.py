"""A search for the values of a config that give the best validation figure; see `search.py`."""
