"""A georeferenced raster becomes the patch around a place: windowed reads, maps of any size."""
