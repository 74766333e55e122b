"""The numbers: integer arithmetic of a layer, its image in DDR, its file."""
