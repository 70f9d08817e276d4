"""Editions of the town: what may be drawn in each, looked up by name.

``town-v1`` is fixed for ever: its frames are the committed benchmark. ``town-v2`` is what training
sees, and wide. ``town-v2-other`` is kept from training: other layout rules and another look, the
stand-in for a world that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from training.town.seeds import stream

Edition = Literal["town-v1", "town-v2", "town-v2-other"]
EDITIONS: tuple[Edition, ...] = get_args(Edition)


@dataclass(frozen=True)
class Rules:
    """What an edition allows.

    Attributes:
        edition: its name.
        trained: whether training may see it.
        layout: which generator draws streets, marks and buildings: "mesh" (town-v1), "districts"
            (town-v2) or "other".
    """

    edition: Edition
    trained: bool
    layout: Literal["mesh", "districts", "other"]

    def stream(self, seed: int, *names: str | int) -> np.random.Generator:
        """Return a named stream of the town in this edition; town-v1's are named without it."""
        return stream(seed, *names) if self.layout == "mesh" else stream(seed, self.edition, *names)


_RULES = {
    rules.edition: rules
    for rules in (
        Rules("town-v1", trained=True, layout="mesh"),
        Rules("town-v2", trained=True, layout="districts"),
        Rules("town-v2-other", trained=False, layout="other"),
    )
}


def rules_of(edition: Edition) -> Rules:
    """Return what ``edition`` allows.

    Raises:
        ValueError: for a name that is no edition.
    """
    if edition not in _RULES:
        raise ValueError(f"edition {edition!r}: expected one of {', '.join(EDITIONS)}")
    return _RULES[edition]
