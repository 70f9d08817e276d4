"""The demo: a drive through a made-up town, localized by the node over DDS, measured and drawn."""
