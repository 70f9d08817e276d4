"""What an edition draws first: streets, junctions, and the rules for all that follows."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.town.conventions import KNOWN, OTHER, Convention, draw_convention
from training.town.districts import draw_district, profile
from training.town.editions import Rules
from training.town.elsewhere import draw_elsewhere
from training.town.house_rules import HouseRules
from training.town.roundabouts import Roundabout, place_roundabouts, turning_places, widen
from training.town.streets import Mesh, Street, Warp, network


@dataclass(frozen=True)
class Plan:
    """The skeleton of a town.

    Attributes:
        streets, rings: its streets and roundabouts.
        houses: what is built.
        convention: how roads are painted; None as town-v1 does.
    """

    streets: list[Street]
    rings: list[Roundabout] = field(default_factory=list)
    houses: HouseRules = field(default_factory=HouseRules)
    convention: Convention | None = None


def draw_plan(rules: Rules, seed: int, half_side: float) -> Plan:
    """Draw the skeleton of the town of ``seed`` in the edition of ``rules``."""
    rng = rules.stream(seed, "streets")
    if rules.layout == "mesh":
        return Plan(network(rng, half_side))
    if rules.layout == "other":
        district, mesh = draw_elsewhere(rng, half_side)
        convention = OTHER
    else:
        district, convention = draw_district(rng), KNOWN
        mesh = Mesh(
            Warp(rng, district.bends),
            lambda own, main: profile(own, main, district),
            district.main,
            district.cross,
            32.0,
            dead_ends=district.dead_ends,
        )
    streets = network(rng, half_side, mesh)
    widen(streets)
    rings = place_roundabouts(
        rules.stream(seed, "roundabouts"), streets, district.roundabouts, half_side
    )
    rings += turning_places(rng, streets, half_side)
    return Plan(streets, rings, district.houses, draw_convention(rng, convention))
