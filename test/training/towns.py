"""Towns that several tests look at, made once."""

from __future__ import annotations

from functools import lru_cache

from training.town.editions import Edition
from training.town.town import Town


@lru_cache(maxsize=4)
def town(seed: int = 3, edition: Edition = "town-v1") -> Town:
    return Town(seed, edition)
