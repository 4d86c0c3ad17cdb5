"""Labels of whole photos: a class for each, told by a table, by masks, or by the folders that the photos lie in."""
