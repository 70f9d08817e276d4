"""Names of the methods and the classes behind them, imported only when asked for."""

from __future__ import annotations

import importlib
from typing import Any

from cross_view_localizer.models.contract import CrossViewModel

_CLASSES = {
    "correlation": ("cross_view_localizer.models.correlation", "Correlation"),
    "bev": ("cross_view_localizer.models.bev", "BevModel"),
    "cvml": ("cross_view_localizer.models.cvml", "CVML"),
    "cvr": ("cross_view_localizer.models.cvr", "CVR"),
}


def names() -> list[str]:
    """Return the names that :func:`build` knows."""
    return sorted(_CLASSES)


def build(name: str, config: dict[str, Any]) -> CrossViewModel:
    """Build a method from its keyword configuration (values that JSON can hold).

    Raises:
        ValueError: an unknown name, or a configuration that the method doesn't take; one line.
    """
    if name not in _CLASSES:
        raise ValueError(f"model '{name}' is unknown: expected one of {', '.join(names())}")
    module, attribute = _CLASSES[name]
    model_class = getattr(importlib.import_module(module), attribute)
    try:
        model = model_class(**config)
    except TypeError as error:
        raise ValueError(f"model '{name}' does not take this configuration: {error}") from error
    assert isinstance(model, CrossViewModel)
    return model
