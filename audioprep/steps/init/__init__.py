"""A team's own DVC project: started from the installed package, and brought up to date with a new version of it."""
