"""From a frame and a prior to what the network is asked: the half of localizing that runs none."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.estimate import Estimate, Frame, Motion, Reason, refusal
from cross_view_localizer.gates import (
    Refused,
    check_height,
    check_picture,
    check_reach,
    checked_earlier,
    checked_frame,
    checked_prior,
    major_std,
)
from cross_view_localizer.geo import wrap_angle
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.map.search import (
    NORTH,
    Imagery,
    Keeping,
    LittleImagery,
    OutsideMap,
    Searched,
    Searcher,
)
from cross_view_localizer.models.network import Ground
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.poses import seen_from
from cross_view_localizer.prior.prior import Prior, PriorRefusal


def _turned(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return a (2,) vector turned counter-clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


@dataclass(frozen=True)
class Place:
    """Where the prior puts the point that the model finds (usually the camera).

    Attributes:
        xy: (2,) metres in ``map``.
        lever: (2,) the point in ``base_link``, metres.
        azimuth: of the camera, radians; north where the heading is unknown.
        prior: of ``base_link``.
    """

    xy: NDArray[np.float64]
    lever: NDArray[np.float64]
    azimuth: float
    prior: Prior


@dataclass(frozen=True)
class Question:
    """A frame made ready for the network.

    Attributes:
        frame: as it was given.
        place: where it was roughly taken.
        searched: the aerial picture, and the heatmap's grid on it.
        ground: the picture that the view asks for, and those before it.
        azimuth: of the camera in ``base_link``, radians.
    """

    frame: Frame
    place: Place
    searched: Searched
    ground: Ground
    azimuth: float


def _untimed(stage: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


class Preparation:
    """Makes frames ready for a model's network, or refuses them.

    Args:
        model: that will be asked; nothing of its network is kept.
        imagery: searched around the prior.
        config: gates; how long a patch is kept.
        timed: takes the time of a block, by its name.

    Attributes:
        offsets_from_up: the picture says nothing of the given heading: a front camera over a
            north-up patch.

    Raises:
        WeightsError: metadata that makes no sense; one line.
    """

    def __init__(
        self,
        model: LoadedModel,
        imagery: Imagery,
        config: LocalizerConfig,
        timed: Callable[[str], AbstractContextManager[None]] = _untimed,
    ) -> None:
        view = model.model.view
        self.view, self.config, self._timed = view, config, timed
        self.offsets_from_up = view.ground == "pinhole" and not view.heading_up
        self._reference, self._heights = model.reference_point, model.camera_heights
        self._trained_half = model.metadata.get("searchable_half")
        self._imagery = imagery
        self._searcher = Searcher(imagery, view, _keeping(config), timed)
        self._maker: tuple[object, ViewMaker] | None = None

    def adjust(self, config: LocalizerConfig) -> None:
        """Go on with other gates; the kept patch is forgotten."""
        self.config = config
        self._searcher = Searcher(self._imagery, self.view, _keeping(config), self._timed)

    def clear(self) -> None:
        """Forget the kept patch."""
        self._searcher.clear()

    @property
    def searchable_half(self) -> float:
        """Metres from the patch's middle that are searched, along each axis."""
        half = self.view.output_size * self.view.output_gsd / 2
        given = self.config.searchable_half or self._trained_half
        return half if given is None else min(half, float(given))

    def question(
        self, frame: Frame | None, prior: Prior | PriorRefusal | None, grid: Grid | None = None
    ) -> Question:
        """Return what the network is asked; arguments as of `Localizer.localize`.

        Raises:
            Refused: why there is nothing to ask.
        """
        frame = checked_frame(frame)
        earlier = checked_earlier(frame, self.view)
        maker = self._view_maker(frame)
        check_height(maker.height, self._heights)
        place = self._place(checked_prior(prior, self._needs_heading), frame, maker.azimuth)
        half = self.searchable_half if grid is None else min(grid.extent) / 2
        check_reach(place.prior, self.config.prior_sigmas, half)
        searched = self._searched(place, grid)
        with self._timed("view"):
            turn = float(wrap_angle(searched.grid.up - place.azimuth))
            image, rotation = self._facing(maker, frame, turn)
            check_picture(image, maker.mask)
            pictures = [self._facing(maker, one, turn)[0] for one, _ in earlier]
        motions = [self._motion(maker, frame, motion, turn) for _, motion in earlier]
        calibration = (maker.intrinsics, rotation, maker.height)
        ground = Ground(image, *calibration, pictures, motions, maker.mask)
        return Question(frame, place, searched, ground, maker.azimuth)

    @property
    def _needs_heading(self) -> bool:
        return not (self.offsets_from_up and self.view.estimates_heading)

    def _view_maker(self, frame: Frame) -> ViewMaker:
        mount = frame.camera_in_base
        key = (frame.camera, mount.rotation.tobytes(), mount.translation.tobytes())
        if self._maker is None or self._maker[0] != key:
            config = self.config
            try:
                maker = ViewMaker(
                    frame.camera,
                    mount,
                    self.view,
                    base_height=config.base_height,
                    field_of_view=config.field_of_view,
                )
            except ValueError as error:
                raise Refused(Reason.BAD_CAMERA_INFO, str(error)) from error
            self._maker = (key, maker)
        return self._maker[1]

    def _place(self, prior: Prior, frame: Frame, azimuth: float) -> Place:
        """Take the prior from base_link to the point that the model finds."""
        lever = frame.camera_in_base.translation[:2] + _turned(self._reference, azimuth)
        xy = np.array([prior.x, prior.y], dtype=np.float64)
        if prior.yaw is None:
            return Place(xy, lever, NORTH, prior)
        return Place(xy + _turned(lever, prior.yaw), lever, prior.yaw + azimuth, prior)

    def _searched(self, place: Place, grid: Grid | None) -> Searched:
        reach = self.config.prior_sigmas * major_std(place.prior.covariance)
        try:
            if grid is not None:
                return self._searcher.on(grid)
            return self._searcher.around(place.xy, place.azimuth, reach, self.searchable_half)
        except OutsideMap as error:
            raise Refused(Reason.OUTSIDE_MAP, str(error)) from error
        except LittleImagery as error:
            raise Refused(Reason.LITTLE_IMAGERY, str(error)) from error

    def _facing(
        self, maker: ViewMaker, frame: Frame, turn: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the ground picture and its rotation, with the patch's up as the way ahead.

        That is so anyway for a fresh heading-up patch, and ``turn`` 0, but not for one that is
        kept, nor for north-up ones.
        """
        try:
            return maker.facing(frame.image, turn)
        except ValueError as error:
            raise Refused(Reason.BAD_IMAGE, str(error)) from error

    def _motion(self, maker: ViewMaker, frame: Frame, motion: Motion, turn: float) -> Motion:
        """Return a motion of ``base_link`` as that of the camera's levelled, turned frame."""
        turned = maker.azimuth + (0.0 if self.offsets_from_up else turn)
        return seen_from(motion, frame.camera_in_base.translation[:2], turned)


def _keeping(config: LocalizerConfig) -> Keeping:
    return Keeping(
        config.min_coverage, config.reuse_aerial, config.reuse_distance, config.reuse_angle
    )


def without_answer(
    frame: Frame | None, prior: Prior | PriorRefusal | None, reason: Reason, detail: str
) -> Estimate:
    """Return the refusal of a frame."""
    known = prior if isinstance(prior, Prior) else None
    stamp = frame.stamp if frame is not None else (known.stamp if known else 0)
    return refusal(stamp, reason, detail, known)
