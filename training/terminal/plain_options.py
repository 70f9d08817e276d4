"""Options of readers and writers on a command line, which the command itself need not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from training.datasets.pair import DatasetError


def plain_options(rest: Sequence[str]) -> dict[str, Any]:
    """Turn `--key value` and `--key=value` into plain values, as YAML would read them.

    Raises:
        DatasetError: words that are no such pairs.
    """
    options: dict[str, Any] = {}
    words = [part for word in rest for part in _parts(word)]
    if len(words) % 2 or not all(word.startswith("--") for word in words[::2]):
        raise DatasetError(f"{' '.join(rest)!r}: expected pairs of --option value")
    for key, value in zip(words[::2], words[1::2], strict=True):
        try:
            options[key[2:].replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise DatasetError(f"{key} {value!r}: expected a plain value") from None
    return options


def _parts(word: str) -> list[str]:
    return list(word.split("=", 1)) if word.startswith("--") and "=" in word else [word]
