"""The options of a method's own loss, from a recipe's ``terms``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jsonargparse

from cross_view_localizer.models.contract import CrossViewModel


def set_options(model: CrossViewModel, terms: Mapping[str, Any] | None = None) -> None:
    """Give a model the options of its loss; those that ``terms`` does not name keep their defaults.

    Raises:
        ValueError: a model that learns nothing, an option that its loss doesn't have, or a value
            that the option doesn't take; one line.
    """
    name = type(model).__name__
    if model.objective is None:
        raise ValueError(f"{name} can't be trained: it learns nothing; choose another model")
    kind = type(model.objective)
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in terms or {} if key not in known]
    if unknown:
        raise ValueError(
            f"terms: the loss of {name} has no '{unknown[0]}': expected "
            f"{'some of ' + ', '.join(known) if known else 'none'}"
        )
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind)
    try:
        given = parser.parse_object(dict(terms or {}))
    except jsonargparse.ArgumentError as error:
        raise ValueError(f"terms of {name}: {' '.join(str(error).split())}") from None
    model.objective = kind(**given.as_dict())
