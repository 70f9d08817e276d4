"""The ROS 2 layer: converts, times and publishes; the only place that imports rclpy."""
