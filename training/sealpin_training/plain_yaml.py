"""YAML as people write it by hand: without aliases, which make gigabytes of a few lines, and of a bounded size."""

from typing import Any

import yaml

# A list of 10,000 classes has a number and a name for each
MAX_DEPTH, MAX_NODES = 16, 30_000


class PlainNodes:
    """Goes before one of PyYAML's loaders among a class's bases."""

    depth = nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node. Raises MarkedYAMLError."""
        event = self.peek_event()  # type: ignore[attr-defined]
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem=f"an alias (*{event.anchor})", problem_mark=event.start_mark)
        if self.depth == MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        if self.nodes == MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=event.start_mark)
        self.nodes += 1
        self.depth += 1
        node = super().compose_node(parent, index)  # type: ignore[misc]
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A dictionary. Raises MarkedYAMLError when a key is there twice: nobody knows which value is meant."""
        mapping = super().construct_mapping(node, deep=deep)  # type: ignore[misc]
        if len(mapping) < len(node.value):
            raise yaml.MarkedYAMLError(problem="a key stands there twice", problem_mark=node.start_mark)
        return mapping
