"""Recipes: the TensorFlow Object Detection API's `pipeline.config` files, read into typed objects and checked."""

from .recipe import Recipe, Schedule, load_recipe
from .text import read_pipeline

__all__ = ["Recipe", "Schedule", "load_recipe", "read_pipeline"]
