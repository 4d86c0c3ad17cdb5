"""Recipes: the TensorFlow Object Detection API's `pipeline.config` files, read into typed objects and checked."""

from .schema import Pipeline
from .support import Difference, Recipe, load_recipe
from .text import read_pipeline

__all__ = ["Difference", "Pipeline", "Recipe", "load_recipe", "read_pipeline"]
