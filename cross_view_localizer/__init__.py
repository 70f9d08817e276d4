"""Cross-view localization: camera images and a rough fix in, pose with covariance and heatmap out."""

from pkgutil import extend_path

# Merges a source tree with an installed one, so that the generated ``cross_view_localizer.msg`` is found from both.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
