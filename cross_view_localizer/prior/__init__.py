"""Fixes, headings and odometry, buffered and taken to the image's stamp, with their covariance."""
