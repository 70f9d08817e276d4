"""What the methods share: backbones, decoders, projections, descriptors."""
