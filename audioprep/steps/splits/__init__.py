"""Which clips have something in common, and who of them trains, validates and tests: work on tables."""
