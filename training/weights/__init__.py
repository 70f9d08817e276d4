"""Weights that others trained, as our safetensors files."""
