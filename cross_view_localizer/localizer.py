"""The front door: one image and a rough idea of where it was taken in, an Estimate out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.belief.searched_headings import searched_half
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.estimate import Estimate, Frame, Motion, Reason, refusal
from cross_view_localizer.gates import (
    Finding,
    Refused,
    check_reach,
    checked_earlier,
    checked_frame,
    checked_prior,
    gate,
    major_std,
)
from cross_view_localizer.geo import Datum, wrap_angle
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.map.search import (
    NORTH,
    Keeping,
    LittleImagery,
    OutsideMap,
    Searched,
    Searcher,
)
from cross_view_localizer.models.contract import Answer
from cross_view_localizer.models.network import Network
from cross_view_localizer.models.weights import LoadedModel, WeightsError, load, without_weights
from cross_view_localizer.poses import bounded, seen_from, to_base
from cross_view_localizer.prior.prior import Prior, PriorRefusal
from cross_view_localizer.views import View

__all__ = ["Estimate", "Frame", "Localizer", "LocalizerConfig", "Reason", "refusal"]


def _turned(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return a (2,) vector turned counter-clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


@dataclass(frozen=True)
class _Place:
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


class Localizer:
    """Answers one call, :meth:`localize`. Not for several threads at once.

    Args:
        model: from :func:`models.weights.load` or ``without_weights``.
        satellite_map: searched around the prior.
        config: device, gates; its model and map entries are only used by :meth:`from_files`.

    Attributes:
        model_id: name of the model and hash of its weights.

    Raises:
        ValueError: a device that isn't there, or metadata that makes no sense; one line.
    """

    def __init__(
        self,
        model: LoadedModel,
        satellite_map: SatelliteMap,
        config: LocalizerConfig | None = None,
    ) -> None:
        self.config = config or LocalizerConfig()
        self.satellite_map = satellite_map
        self.model_id = model.identifier
        self.calibration = model.calibration
        self.metadata = model.metadata
        self._reference = _reference_point(model.metadata)
        self._network = Network(model.model, self.config.device, self.config.precision)
        self._searcher = Searcher(satellite_map, self._network, _keeping(self.config))
        self._maker: tuple[object, ViewMaker] | None = None
        if self.config.warm_up:
            self.warm_up()

    @classmethod
    def from_files(cls, config: LocalizerConfig) -> Localizer:
        """Build from the paths in the configuration.

        Raises:
            ValueError: (also as WeightsError, MapError) what is wrong with which file; one line.
        """
        if config.weights:
            model = load(config.weights, config.model or None)
        elif config.model:
            model = without_weights(config.model, config.model_config)
        else:
            raise ValueError("neither weights nor model given: set weights to 'front' or to a file")
        if not config.map:
            raise ValueError("no map given: set map to a georeferenced raster (GeoTIFF, VRT, …)")
        datum = None if config.datum is None else Datum(*config.datum)
        satellite_map = SatelliteMap.open(
            config.map, datum=datum, crs=config.map_crs or None, offset=config.map_offset
        )
        return cls(model, satellite_map, config)

    @property
    def view(self) -> View:
        """The pictures that the model is made for."""
        return self._network.model.view

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._network.device

    @property
    def searchable_half(self) -> float:
        """Metres from the patch's middle that are searched, along each axis."""
        half = self.view.output_size * self.view.output_gsd / 2
        given = self.config.searchable_half or self.metadata.get("searchable_half")
        return half if given is None else min(half, float(given))

    def warm_up(self) -> None:
        """Run the network once, so that the first frame is not slower than the others."""
        self._network.warm_up()
        self._network.timing = {}

    def clear(self) -> None:
        """Forget the kept aerial encoding (after a jump of time, or to make frames independent)."""
        self._searcher.clear()

    def localize(self, frame: Frame | None, prior: Prior | PriorRefusal | None) -> Estimate:
        """Answer where ``base_link`` was when the image was taken.

        Args:
            frame: the image with its camera; None where there is none.
            prior: at the image's stamp, or why there is none.

        Returns:
            Pose, covariance and heatmap, or the reason why not; what a sensor sent never raises.
        """
        start = time.perf_counter()
        self._network.timing = {}
        try:
            estimate = self._localize(frame, prior)
        except Refused as refused:
            estimate = _without_answer(frame, prior, refused.reason, str(refused))
        except torch.cuda.OutOfMemoryError as error:
            self.clear()
            torch.cuda.empty_cache()
            detail = f"out of memory on {self.device}: {str(error).splitlines()[0]}"
            estimate = _without_answer(frame, prior, Reason.OUT_OF_MEMORY, detail)
        timing = {**self._network.timing, "total": (time.perf_counter() - start) * 1e3}
        return replace(estimate, timing=timing, model_id=self.model_id)

    def _localize(self, frame: Frame | None, prior: Prior | PriorRefusal | None) -> Estimate:
        frame = checked_frame(frame)
        earlier = checked_earlier(frame, self.view)
        maker = self._view_maker(frame)
        place = self._place(checked_prior(prior, self._needs_heading), frame, maker.azimuth)
        check_reach(place.prior, self.config.prior_sigmas, self.searchable_half)
        searched = self._searched(place)
        with self._network.timed("view"):
            turn = float(wrap_angle(searched.grid.up - place.azimuth))
            image, rotation = self._ground(maker, frame, turn)
            pictures = [self._ground(maker, one, turn)[0] for one, _ in earlier]
        motions = [self._motion(maker, frame, motion, turn) for _, motion in earlier]
        answer = self._network.match(
            searched.encoding, image, maker.intrinsics, rotation, maker.height, pictures, motions
        )
        with self._network.timed("post"):
            own = self._belief(answer, searched)
            return self._answer(frame, own, place, searched, maker.azimuth)

    # -- before the network ----------------------------------------------------------------------

    @property
    def _offsets_from_up(self) -> bool:
        """The picture says nothing of the given heading: a front camera over a north-up patch."""
        return self.view.ground == "pinhole" and not self.view.heading_up

    @property
    def _needs_heading(self) -> bool:
        return not (self._offsets_from_up and self.view.estimates_heading)

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

    def _place(self, prior: Prior, frame: Frame, azimuth: float) -> _Place:
        """Take the prior from base_link to the point that the model finds."""
        lever = frame.camera_in_base.translation[:2] + _turned(self._reference, azimuth)
        xy = np.array([prior.x, prior.y], dtype=np.float64)
        if prior.yaw is None:
            return _Place(xy, lever, NORTH, prior)
        return _Place(xy + _turned(lever, prior.yaw), lever, prior.yaw + azimuth, prior)

    def _searched(self, place: _Place) -> Searched:
        reach = self.config.prior_sigmas * major_std(place.prior.covariance)
        try:
            return self._searcher.around(place.xy, place.azimuth, reach, self.searchable_half)
        except OutsideMap as error:
            raise Refused(Reason.OUTSIDE_MAP, str(error)) from error
        except LittleImagery as error:
            raise Refused(Reason.LITTLE_IMAGERY, str(error)) from error

    def _ground(
        self, maker: ViewMaker, frame: Frame, turn: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the ground picture and its rotation, with the patch's up as the way ahead.

        That is so anyway for a fresh heading-up patch, and ``turn`` 0, but not for one that is
        kept.
        """
        try:
            return maker.facing(frame.image, turn)
        except ValueError as error:
            raise Refused(Reason.BAD_IMAGE, str(error)) from error

    def _motion(self, maker: ViewMaker, frame: Frame, motion: Motion, turn: float) -> Motion:
        """Return a motion of ``base_link`` as that of the camera's levelled, turned frame."""
        turned = maker.azimuth + (0.0 if self._offsets_from_up else turn)
        return seen_from(motion, frame.camera_in_base.translation[:2], turned)

    # -- after the network -----------------------------------------------------------------------

    def _belief(
        self,
        answer: Answer,
        searched: Searched,
    ) -> Belief:
        try:
            return Belief.from_scores(
                answer.log_mass,
                answer.yaw_offsets,
                searched.grid,
                self.calibration,
                searched.support,
                answer.headings,
            )
        except ValueError as error:  # NaN, which half precision can bring about
            raise Refused(Reason.INTERNAL_ERROR, str(error)) from error

    def _answer(
        self, frame: Frame, own: Belief, place: _Place, searched: Searched, azimuth: float
    ) -> Estimate:
        """Take what the image says of the reference point to base_link and through the gates."""
        config, prior = self.config, place.prior
        reference = (searched.grid.up if self._offsets_from_up else place.azimuth) - azimuth
        pose, covariance = image_pose, image_covariance = self._at_base(own, place, reference)
        belief = own
        if config.fuse_prior:
            yaw_variance = None if self._offsets_from_up else float(prior.covariance[2, 2])
            belief = own.times_prior(place.xy, prior.covariance[:2, :2], yaw_variance)
            pose, covariance = self._at_base(belief, place, reference)
        heatmap = belief.heatmap.moved(np.array(pose[:2]) - belief.heatmap.peak_xy())
        modes = heatmap.modes(config.max_modes, separation=config.mode_separation)
        finding = Finding(
            prior,
            self._searched_yaw(own),
            covariance,
            modes,
            np.array(image_pose[:2]),
            image_covariance[:2, :2],
        )
        refused = gate(config, finding)
        finite = bool(np.isfinite(covariance).all())
        bounds = bounded(covariance, config.min_std, config.covariance_scale) if finite else None
        return Estimate(
            stamp=frame.stamp,
            status="refused" if refused else "ok",
            reason=refused[0] if refused else None,
            detail=refused[1] if refused else "",
            pose=None if refused else pose,
            covariance=None if refused else bounds,
            yaw_from_prior=not self.view.estimates_heading,
            confidence=heatmap.mass_within(pose[:2], config.confidence_radius),
            modes=tuple(modes),
            heatmap=heatmap,
            patch=searched.patch,
            prior=prior,
            prior_fused=config.fuse_prior,
            raw_pose=pose,
            raw_covariance=bounds,
        )

    def _at_base(
        self, belief: Belief, place: _Place, reference: float
    ) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
        """Return the pose of base_link, (x, y, yaw), and its (3, 3) covariance.

        Args:
            reference: yaw of base_link where the belief's heading offset is zero.
        """
        yaw_variance = float(place.prior.covariance[2, 2])
        around = None if self._offsets_from_up else math.sqrt(yaw_variance)
        offset, spread = moments(belief, self.calibration, around)
        peak = belief.heatmap.peak_xy()
        if self.view.estimates_heading:
            return to_base(peak, reference + offset, spread, place.lever, None)
        return to_base(peak, reference, spread, place.lever, yaw_variance)

    def _searched_yaw(self, belief: Belief) -> float:
        """Return how far to either side of the given heading is searched, radians.

        As the weights say (``searchable_yaw``) where the method takes the heading as given: how
        wrong it may be. Infinite where neither says anything, and where no heading is given.
        """
        if self._offsets_from_up:
            return math.inf
        given = float(self.metadata.get("searchable_yaw", math.inf))
        if len(belief.yaw_offsets) == 1:
            return given
        return min(given, searched_half(belief.yaw_offsets))


def _keeping(config: LocalizerConfig) -> Keeping:
    return Keeping(
        config.min_coverage, config.reuse_aerial, config.reuse_distance, config.reuse_angle
    )


def _without_answer(
    frame: Frame | None, prior: Prior | PriorRefusal | None, reason: Reason, detail: str
) -> Estimate:
    known = prior if isinstance(prior, Prior) else None
    stamp = frame.stamp if frame is not None else (known.stamp if known else 0)
    return refusal(stamp, reason, detail, known)


def _reference_point(metadata: dict[str, Any]) -> NDArray[np.float64]:
    """Return (forward, left), metres, of the point that the weights find.

    In the camera's levelled frame; zero for the camera. Weights of another point ("ins") carry
    ``reference_in_camera``.

    Raises:
        WeightsError: another point without its lever arm.
    """
    name = metadata.get("reference_point", "camera")
    if name == "camera":
        return np.zeros(2)
    lever = np.asarray(metadata.get("reference_in_camera", ()), dtype=np.float64)
    if lever.shape != (2,) or not np.isfinite(lever).all():
        raise WeightsError(
            f"weights find the point '{name}' with reference_in_camera {lever.tolist()}: "
            "expected (forward, left) in metres"
        )
    return lever
