"""Tiny datasets made from the town, in the official file layouts: to try every reader on."""
