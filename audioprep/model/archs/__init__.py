"""The networks, one file each; `registry.py` lists them."""
