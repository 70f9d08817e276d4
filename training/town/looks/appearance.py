"""What an edition of the town may look like: materials, seasons, light, and how it is photographed.

Ranges are (low, high); of alternatives each has a weight. A view draws from them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from training.town.shapes import Array

RGB = tuple[float, float, float]
Range = tuple[float, float]


class Weighted(Protocol):
    """An alternative with the weight that it is drawn by."""

    @property
    def weight(self) -> float:
        """Its weight beside the others."""
        ...


W = TypeVar("W", bound=Weighted)


def choose(rng: np.random.Generator, options: Sequence[W]) -> W:
    """Draw one of the alternatives by weight."""
    weights = np.array([o.weight for o in options])
    return options[int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum()))]


def within(rng: np.random.Generator, limits: Range) -> float:
    """Draw uniformly from a range."""
    return float(rng.uniform(*limits))


@dataclass(frozen=True)
class Laid:
    """Stones in rows, seen from near: sizes and joint in metres.

    Attributes:
        length, width: of a stone.
        shift: by how much of its length every second row is moved.
        joint: width of the dark gap.
        contrast: how much stones differ, and how dark the gap is.
    """

    length: float
    width: float
    shift: float
    joint: float
    contrast: float


@dataclass(frozen=True)
class Paint:
    """A material: colours between ``low`` and ``high``.

    Attributes:
        tint: deviation of each channel by itself.
        spread: how much objects of one material differ within a view.
        rough: strength of its texture, 0 ... 255.
        laid: the stones it is laid from, where there are any.
    """

    weight: float
    low: RGB
    high: RGB
    tint: float = 4.0
    spread: float = 8.0
    rough: int = 24
    laid: Laid | None = None

    def draw(self, rng: np.random.Generator, count: int | None = None) -> Array:
        """Draw one colour (3,), or ``count`` (count, 3)."""
        shape = () if count is None else (count,)
        share = rng.random((*shape, 1))
        noise = rng.normal(0, self.tint, (*shape, 3))
        low, high = np.array(self.low), np.array(self.high)
        return np.clip(low + share * (high - low) + noise, 4, 252)


@dataclass(frozen=True)
class Facade:
    """Walls of one style: paint, storey height and window period in metres, windows' share.

    Attributes:
        cladding: 0 plaster, 1 brick, 2 boards, 3 panels, 4 glass.
    """

    weight: float
    paint: Paint
    cladding: int = 0
    storey: Range = (2.7, 3.2)
    period: Range = (1.9, 4.2)
    share: Range = (0.3, 0.6)


@dataclass(frozen=True)
class Season:
    """The time of year as one view saw it.

    Attributes:
        grass, leaves: colours of lawns and of crowns.
        leafiness: of crowns; below zero only branches are left.
        snow: share of the ground's colours that snow has replaced.
    """

    weight: float
    grass: tuple[Paint, ...]
    leaves: tuple[Paint, ...]
    leafiness: Range = (0.5, 1.0)
    snow: Range = (0.0, 0.0)


@dataclass(frozen=True)
class Sky:
    """One sort of weather in front of the camera; colours and brightness beyond 255 clip.

    Attributes:
        zenith, horizon, cloud: colours; gain: brightness of the whole sky beside the ground.
        clouds: how much of it they cover, about -0.6 none to 0.9 all.
        sun: strength of the sunlight; haze: per metre.
        wet: chance of a wet road; night: chance that lamps are all the light.
    """

    weight: float
    zenith: Paint
    horizon: Paint
    cloud: Range
    gain: Range
    clouds: Range
    sun: Range
    haze: Range
    wet: float = 0.0
    night: float = 0.0


@dataclass(frozen=True)
class Optics:
    """Habits of cameras; ``..._share``: of frames that have it.

    Attributes:
        brightness: mean that automatic exposure aims at; drift: deviation of its logarithm.
        contrast: steepness in the middle of the tone curve; lift: level of black.
        saturation, cast: colours; grey_share: greyscale cameras.
        blur: deviation of the lens's softness in pixels; sharpening: of the unsharp mask.
        noise: deviation; blotches: deviation of noise several pixels wide.
        vignette: loss at a pinhole picture's corner.
    """

    weight: float
    brightness: Range
    drift: float
    contrast: Range
    lift: Range
    saturation: Range
    cast: float
    grey_share: float
    blur: Range
    sharpening: Range
    noise: Range
    blotches: Range
    vignette: Range
    jpeg_share: float
    jpeg: tuple[int, int]
    flare_share: float
    dirt_share: float
    drops_share: float


@dataclass(frozen=True)
class Survey:
    """How aerial pictures are taken and published.

    Attributes:
        shadow: metres of shadow per metre of height; dark: brightness within it.
        lean: metres of displacement per metre of height.
        texture: strength of surface texture.
        native: ground sampling distance of the sensor, metres; fine_share: as fine as the grid.
        blur: deviation in pixels of the sensor; sharpening: of the unsharp mask.
        light, gamma, saturation, haze, cast: of the whole picture; strip: deviation between strips.
        noise: deviation; jpeg: quality; missing_share: of pictures with parts missing.
    """

    shadow: Range
    dark: Range
    lean: Range
    texture: Range
    native: Range
    fine_share: float
    blur: Range
    sharpening: Range
    light: Range
    gamma: Range
    saturation: Range
    haze: Range
    cast: float
    strip: float
    noise: Range
    jpeg: tuple[int, int]
    missing_share: float


@dataclass(frozen=True)
class Appearance:
    """An edition's look.

    Attributes:
        ground: materials of every ground class; a class that is missing looks like asphalt.
        walls, roofs: of buildings.
        seasons: drawn by each view for itself.
        elevation: of the camera's sun, radians.
        skies, optics: of the camera; survey: of the aerial picture.
    """

    ground: Mapping[int, tuple[Paint, ...]]
    walls: tuple[Facade, ...]
    roofs: tuple[Paint, ...]
    seasons: tuple[Season, ...]
    elevation: Range
    skies: tuple[Sky, ...]
    optics: tuple[Optics, ...]
    survey: Survey
