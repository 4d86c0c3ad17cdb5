"""Recipes: TF-Vision's (Model Garden's) experiment YAML for image classification, read and checked."""

from .load import load_recipe
from .recipe import Recipe

__all__ = ["Recipe", "load_recipe"]
