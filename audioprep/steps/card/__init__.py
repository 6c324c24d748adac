"""The dataset card of a corpus."""
