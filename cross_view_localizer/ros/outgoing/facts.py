"""What diagnostics are told: plain facts, so that they know neither the node nor its session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cross_view_localizer.ros.parameters import Parameters


@dataclass(frozen=True)
class ImageFacts:
    """The image subscription.

    Attributes:
        topic: resolved name.
        publishers: how many the topic has.
        reliability: that of the subscription.
        lost: images that the middleware reported as lost since the subscription was made.
    """

    topic: str
    publishers: int
    reliability: str
    lost: int


@dataclass(frozen=True)
class PriorFacts:
    """What places the crop.

    Attributes:
        counters: PriorEstimator's.
        obstacles: why fixes can't be used at present, one line each.
    """

    counters: Mapping[str, int]
    obstacles: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """The node at one moment.

    Attributes:
        state: label of the lifecycle state.
        problem: why the last transition failed, else "".
        parameters: those in force; None while unconfigured.
        loaded: name -> value of what configure made (model, device, map, …), to be shown.
        warnings: what configure found odd (of the map), one line each.
        image, prior: None while not active.
    """

    state: str
    problem: str = ""
    parameters: Parameters | None = None
    loaded: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    image: ImageFacts | None = None
    prior: PriorFacts | None = None
