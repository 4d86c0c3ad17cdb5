"""Whole photos: a class for each, by a network of features, pooled, and one dense layer."""
