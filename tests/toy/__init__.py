"""A task from outside of the packages: parts are bad that are red. Both tables take it, and nothing else knows it."""
