"""Names of the datasets and the readers behind them, imported only when asked for."""

from __future__ import annotations

import importlib
import inspect
import typing
from typing import Any

from training.datasets.pair import DatasetError, Reader

_READERS = {
    "vigor": ("training.datasets.vigor", "VigorReader"),
    "robotcar": ("training.datasets.robotcar", "RobotCarReader"),
    "kitti": ("training.datasets.kitti", "KittiReader"),
    "kitti-cvl": ("training.datasets.kitti_cvl", "KittiCvlReader"),
    "ford": ("training.datasets.ford", "FordReader"),
    "cvact": ("training.datasets.cvact", "CvactReader"),
    "own": ("training.datasets.own", "OwnReader"),
    "town": ("training.datasets.town", "TownReader"),
}


def names() -> list[str]:
    """Return the names that `build` knows."""
    return sorted(_READERS)


def options(name: str) -> tuple[str, ...]:
    """Return the options that a reader takes.

    Raises:
        DatasetError: an unknown name; one line.
    """
    return tuple(inspect.signature(reader_class(name)).parameters)


def splits(name: str) -> tuple[str, ...]:
    """Return the splits that a reader knows; none where it has no such option.

    Raises:
        DatasetError: an unknown name; one line.
    """
    if "split" not in options(name):
        return ()
    kind = typing.get_type_hints(reader_class(name).__init__)["split"]
    return tuple(str(value) for value in typing.get_args(kind))


def build(name: str, **given: Any) -> Reader:
    """Build a reader from plain values, as a YAML file holds them.

    Raises:
        DatasetError: an unknown name, an option that the reader doesn't take or lacks, or whatever
            the reader finds wrong with the dataset; one line.
    """
    reader = reader_class(name)
    known = inspect.signature(reader).parameters
    unknown = [option for option in given if option not in known]
    if unknown:
        raise DatasetError(
            f"reader '{name}' has no option '{unknown[0]}': expected some of {', '.join(known)}"
        )
    lacking = [k for k, p in known.items() if p.default is p.empty and k not in given]
    if lacking:
        raise DatasetError(f"reader '{name}' needs '{lacking[0]}': give {lacking[0]}: … with it")
    built = reader(**given)
    assert isinstance(built, Reader)
    return built


def reader_class(name: str) -> type[Reader]:
    """Return the class behind a name.

    Raises:
        DatasetError: an unknown name; one line.
    """
    if name not in _READERS:
        raise DatasetError(f"reader '{name}' is unknown: expected one of {', '.join(names())}")
    module, attribute = _READERS[name]
    found = getattr(importlib.import_module(module), attribute)
    assert issubclass(found, Reader)
    return found  # type: ignore[no-any-return]
