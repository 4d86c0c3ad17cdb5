"""Recipes: the TensorFlow Object Detection API's `pipeline.config` files, read into typed objects and checked."""

from .recipe import Difference, Recipe, Schedule, load_recipe, shipped_recipes
from .text import read_pipeline

__all__ = ["Difference", "Recipe", "Schedule", "load_recipe", "read_pipeline", "shipped_recipes"]
