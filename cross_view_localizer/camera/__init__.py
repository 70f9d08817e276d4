"""Intrinsics and distortion, and the view that a model wants from a picture; for training too."""
