"""Scores of predictions: pure functions of truth, decisions and probabilities."""
