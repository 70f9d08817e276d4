"""What leaves the node: results, pictures, diagnostics."""
