"""What reaches the node: images, fixes, odometry, transforms, and their conversion."""
