"""Where a classifier looked, by several methods, and a page to look at that: `sealpin cam`."""
