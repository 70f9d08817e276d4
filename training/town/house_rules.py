"""What is built along a town's streets, as numbers; the defaults are town-v1's."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class HouseRules:
    """What is built: for terraces and for detached houses, then for large buildings, in metres.

    Attributes:
        setback, width: of (terraces, detached houses).
        depth: of both.
        floors: of (terraces, detached houses); the upper number is left out.
        large_width, large_depth, large_setback, large_eave: of flats, offices, shops, halls.
        mood: how common terraces, detached houses, large buildings, lots, greens are (Dirichlet).
        tries: how often a building moves back by a metre where it does not fit.
        interiors: pieces of ground tried behind the houses, for each hectare of the town.
        squares: chance that the next stretch of a street is an open square.
    """

    setback: tuple[Range, Range] = ((0, 4.5), (2.5, 8))
    width: tuple[Range, Range] = ((5, 8.5), (9, 17))
    depth: Range = (8, 12)
    floors: tuple[tuple[int, int], tuple[int, int]] = ((2, 4), (1, 3))
    large_width: Range = (14, 34)
    large_depth: Range = (11, 20)
    large_setback: Range = (1, 7)
    large_eave: Range = (6, 20)
    mood: tuple[float, ...] = (2.0, 2.5, 1.6, 0.8, 1.0)
    tries: int = 1
    interiors: float = 0.0
    squares: float = 0.0
