"""How the demo corpus is made: its sounds, and the archive with every defect that the pipeline must handle."""
