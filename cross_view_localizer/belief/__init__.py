"""A distribution over positions and headings: heatmap, modes, moments, calibration."""
