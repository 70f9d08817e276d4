"""Editions of the town: by name, and each a world of its own."""

from __future__ import annotations

import pytest

from training.town.editions import EDITIONS, rules_of
from training.town.town import Town


def test_an_unknown_edition_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'town-v3': expected one of town-v1, .*town-v2-other"):
        rules_of("town-v3")  # type: ignore[arg-type]


def test_a_town_is_town_v1_unless_told_otherwise() -> None:
    assert Town(3).edition == Town(3).world.edition == "town-v1"
    assert [e for e in EDITIONS if not rules_of(e).trained] == ["town-v2-other"]


def test_editions_of_one_seed_are_different_towns() -> None:
    first = [Town(3, edition).world.streets[0].line.points[0].tolist() for edition in EDITIONS]
    assert len({tuple(p) for p in first}) == len(EDITIONS)
