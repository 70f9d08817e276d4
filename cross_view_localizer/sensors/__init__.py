"""Raw samples of GNSS, odometry and IMU by their stamps: what ``prior.py`` makes priors from."""
