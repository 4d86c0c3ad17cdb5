"""Recipes: TF-Vision's (Model Garden's) experiment YAML for image classification, read and checked."""

from .recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe"]
