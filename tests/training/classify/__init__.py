"""Tests of classification in training."""
