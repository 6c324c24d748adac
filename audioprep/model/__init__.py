"""Training, evaluation and export: the only home of torch."""
