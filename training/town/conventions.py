"""How an edition paints its roads: colours, periods and styles of marks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.town import kinds as k

Range = tuple[float, float]


@dataclass(frozen=True)
class Convention:
    """What marks look like.

    Attributes:
        centre: ground class of the line between the directions.
        centre_styles: chances of dashes, one solid line, two solid lines, nothing.
        period, dash: period of dashes in metres, and the painted share of it.
        lane_width: width of lines, metres.
        edge: chance of a stretch of edge line.
        zebra: chances of bars, two lines, bars between two lines, slanted bars.
        crossing: chance of a crossing before a junction.
        bar: period of a crossing's bars, metres.
        stop: chances of a line, teeth, a broad line with a word before it, nothing.
        box: chance that a junction is hatched, and the class of the hatching.
        box_kind: its ground class.
        arrows: chance of arrows before a junction.
        digits: chance of a number or a word on a lane, for each 100 m.
    """

    centre: int
    centre_styles: tuple[float, float, float, float]
    period: Range
    dash: Range
    lane_width: Range
    edge: float
    zebra: tuple[float, float, float, float]
    crossing: float
    bar: Range
    stop: tuple[float, float, float, float]
    box: float
    box_kind: int
    arrows: float
    digits: float


KNOWN = Convention(
    centre=k.MARK,
    centre_styles=(0.62, 0.16, 0.06, 0.16),
    period=(2.5, 11.0),
    dash=(0.3, 0.65),
    lane_width=(0.1, 0.18),
    edge=0.35,
    zebra=(0.7, 0.3, 0.0, 0.0),
    crossing=0.25,
    bar=(0.9, 1.4),
    stop=(0.4, 0.3, 0.0, 0.3),
    box=0.08,
    box_kind=k.YELLOW,
    arrows=0.5,
    digits=0.4,
)
OTHER = Convention(
    centre=k.YELLOW,
    centre_styles=(0.34, 0.16, 0.4, 0.1),
    period=(12.0, 15.5),
    dash=(0.2, 0.28),
    lane_width=(0.12, 0.2),
    edge=0.6,
    zebra=(0.0, 0.0, 0.6, 0.4),
    crossing=0.25,
    bar=(0.55, 0.75),
    stop=(0.0, 0.0, 0.7, 0.3),
    box=0.08,
    box_kind=k.MARK,
    arrows=0.5,
    digits=0.5,
)


def draw_convention(rng: np.random.Generator, base: Convention) -> Convention:
    """Draw how thoroughly one town is painted."""
    much = float(rng.uniform(0.0, 1.8))
    return replace(
        base,
        crossing=base.crossing * float(rng.uniform(0.1, 1.9)),
        edge=min(0.9, base.edge * much),
        box=base.box * float(rng.uniform(0, 2)),
        arrows=min(0.9, base.arrows * much),
        digits=base.digits * much,
    )
