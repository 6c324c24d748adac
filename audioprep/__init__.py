"""audioprep: published corpora and own recordings to verified, leak-checked feature shards, and on to the Pi."""
