"""Cross-view localization: images and a rough fix in, a pose with covariance and heatmap out."""

from pkgutil import extend_path

# Merges a source tree with an installed one: the generated ``msg`` is found from both.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
