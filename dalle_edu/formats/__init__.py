"""Weights that others published, read into this package's models."""
