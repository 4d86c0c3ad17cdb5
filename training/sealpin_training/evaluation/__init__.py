"""How good a trained network is: COCO's figures for the data scientist, the line's for the factory."""
