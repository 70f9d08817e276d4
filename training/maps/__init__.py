"""Aerial maps: pictures and tiles become GeoTIFFs."""
