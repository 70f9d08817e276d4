"""The front door: one image and a rough idea of where it was taken in, an Estimate out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cross_view_localizer.belief.belief import Belief
from cross_view_localizer.belief.moments import moments
from cross_view_localizer.belief.searched import searched_half
from cross_view_localizer.estimate import Estimate, Frame, Reason, refusal
from cross_view_localizer.gates import (
    Judged,
    Refused,
    gate,
)
from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.map.bands import Warn
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.map.search import (
    Imagery,
    Searched,
)
from cross_view_localizer.models.contract import Answer
from cross_view_localizer.models.network import Network
from cross_view_localizer.models.weights import LoadedModel, load, without_weights
from cross_view_localizer.poses import bounded, to_base
from cross_view_localizer.preparation import Place, Preparation, Question, without_answer
from cross_view_localizer.prior.prior import Prior, PriorRefusal
from cross_view_localizer.views import View

__all__ = ["Estimate", "Frame", "Localizer", "LocalizerConfig", "Reason", "refusal"]

logger = logging.getLogger(__name__)

# A map this many times coarser than the model's aerial pictures is worth a word.
COARSE_MAP = 1.5
# At so many metres per pixel road marks, which the models live on, are gone.
TOO_COARSE_MAP = 1.75


class Localizer:
    """Answers one call, :meth:`localize`. Not for several threads at once.

    Where many frames wait, its two halves do the same to batches: a :class:`Preparation`, which
    runs no network, so that other processes can have it, and :meth:`answers`.

    Args:
        model: from :func:`models.weights.load` or ``without_weights``.
        satellite_map: searched around the prior; any imagery, where it is not the node's.
        config: device, gates; its model and map entries are only used by :meth:`from_files`.

    Attributes:
        model_id: name of the model and hash of its weights.

    Raises:
        ValueError: a device that isn't there, or metadata that makes no sense; one line.
    """

    def __init__(
        self,
        model: LoadedModel,
        satellite_map: Imagery,
        config: LocalizerConfig | None = None,
    ) -> None:
        self.config = config or LocalizerConfig()
        self.satellite_map: Any = satellite_map
        self.model_id = model.identifier
        self.calibration = model.calibration
        self.metadata = model.metadata
        self._searchable_yaw = float(model.metadata.get("searchable_yaw", math.inf))
        self._network = Network(model.model, self.config.device, self.config.precision)
        self._preparation = Preparation(model, satellite_map, self.config, self._network.timed)
        self._encoded: tuple[Searched, Any] | None = None
        if self.config.warm_up:
            self.warm_up()

    @classmethod
    def from_files(cls, config: LocalizerConfig, warn: Warn = logger.warning) -> Localizer:
        """Build from the paths in the configuration; ``warn`` is told what is poor about the map.

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
            config.map,
            datum=datum,
            crs=config.map_crs or None,
            offset=config.map_offset,
            warn=warn,
        )
        wanted = model.model.view.aerial_gsd
        coarsest = max(TOO_COARSE_MAP, COARSE_MAP * wanted)
        if satellite_map.gsd > coarsest:
            satellite_map.close()
            raise ValueError(
                f"map {config.map} has {satellite_map.gsd:.2f} m per pixel, the model was made for "
                f"{wanted:.2f}: expected at most {coarsest:.2f}; give a finer map"
            )
        if satellite_map.gsd > COARSE_MAP * wanted:
            warn(
                f"map {config.map} has {satellite_map.gsd:.2f} m per pixel, the model was made for "
                f"{wanted:.2f}: expected a finer map"
            )
        return cls(model, satellite_map, config)

    @property
    def view(self) -> View:
        """The pictures that the model is made for."""
        return self._network.model.view

    @property
    def network(self) -> Network:
        """What runs the model, for what asks it more than the answers here."""
        return self._network

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._network.device

    @property
    def searchable_half(self) -> float:
        """Metres from the patch's middle that are searched, along each axis."""
        return self._preparation.searchable_half

    @property
    def _offsets_from_up(self) -> bool:
        return self._preparation.offsets_from_up

    def warm_up(self) -> None:
        """Run the network once, so that the first frame is not slower than the others."""
        self._network.warm_up()
        self._network.timing = {}

    def clear(self) -> None:
        """Forget the kept aerial encoding (after a jump of time, or to make frames independent)."""
        self._preparation.clear()
        self._encoded = None

    def adjust(self, config: LocalizerConfig) -> None:
        """Go on with other gates and another map_offset; what is loaded stays loaded.

        To be called between two frames, like everything here.
        """
        if config == self.config:
            return
        (x, y), (old_x, old_y) = config.map_offset, self.config.map_offset
        self.satellite_map.move((x - old_x, y - old_y))
        self.config = config
        self._preparation.adjust(config)
        self._encoded = None

    def localize(
        self,
        frame: Frame | None,
        prior: Prior | PriorRefusal | None,
        grid: Grid | None = None,
    ) -> Estimate:
        """Answer where ``base_link`` was when the image was taken.

        Args:
            frame: the image with its camera; None where there is none.
            prior: at the image's stamp, or why there is none.
            grid: the heatmap's cells, of any size in metres, in place of those that the view asks
                for around the prior: what a published protocol cuts. The imagery scales with it.

        Returns:
            Pose, covariance and heatmap, or the reason why not; what a sensor sent never raises.
        """
        start = time.perf_counter()
        self._network.timing = {}
        try:
            question = self._preparation.question(frame, prior, grid)
            answer = self._network.match(self._encoding(question.searched), question.ground)
            with self._network.timed("post"):
                estimate = self._answer(question, answer)
        except Refused as refused:
            estimate = without_answer(frame, prior, refused.reason, str(refused))
        except torch.cuda.OutOfMemoryError as error:
            self.clear()
            torch.cuda.empty_cache()
            detail = f"out of memory on {self.device}: {str(error).splitlines()[0]}"
            estimate = without_answer(frame, prior, Reason.OUT_OF_MEMORY, detail)
        timing = {**self._network.timing, "total": (time.perf_counter() - start) * 1e3}
        return replace(estimate, timing=timing, model_id=self.model_id)

    def answers(self, questions: Sequence[Question]) -> list[Estimate]:
        """Answer prepared frames, as :meth:`localize` would one after the other, in one batch."""
        found = []
        for question, answer in zip(questions, self.scores(questions), strict=True):
            try:
                estimate = self._answer(question, answer)
            except Refused as refused:
                prior = question.place.prior
                estimate = without_answer(question.frame, prior, refused.reason, str(refused))
            found.append(replace(estimate, model_id=self.model_id))
        return found

    def scores(self, questions: Sequence[Question]) -> list[Answer]:
        """Return what the network itself says of prepared frames."""
        if len({len(question.ground.earlier) for question in questions}) > 1:
            return [answer for question in questions for answer in self.scores([question])]
        return self._network.match_batch(
            [question.searched.patch.image for question in questions],
            [question.ground for question in questions],
        )

    def _encoding(self, searched: Searched) -> Any:
        """Return what the model makes of a patch; that of the last one is kept."""
        if self._encoded is None or self._encoded[0] is not searched:
            self._encoded = (searched, self._network.encode_aerial(searched.patch.image))
        return self._encoded[1]

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

    def _no_match(self, answer: Answer) -> float | None:
        """Return the calibrated probability of no match; None where the method does not tell."""
        if answer.no_match is None:
            return None
        try:
            return float(self.calibration.no_match(answer.no_match))
        except ValueError as error:  # NaN, as in the scores
            raise Refused(Reason.INTERNAL_ERROR, str(error)) from error

    def _answer(self, question: Question, answer: Answer) -> Estimate:
        """Take what the image says of the reference point to base_link and through the gates."""
        frame, place, searched = question.frame, question.place, question.searched
        config, prior, own = self.config, place.prior, self._belief(answer, searched)
        no_match = self._no_match(answer)
        reference = searched.grid.up if self._offsets_from_up else place.azimuth
        reference -= question.azimuth
        pose, covariance = image_pose, image_covariance = self._at_base(own, place, reference)
        belief = own
        if config.fuse_prior:
            yaw_variance = None if self._offsets_from_up else float(prior.covariance[2, 2])
            belief = own.times_prior(place.xy, prior.covariance[:2, :2], yaw_variance)
            pose, covariance = self._at_base(belief, place, reference)
        heatmap = belief.heatmap.moved(np.array(pose[:2]) - belief.heatmap.peak_xy())
        modes = heatmap.modes(config.max_modes, separation=config.mode_separation)
        judged = Judged(
            prior,
            self._searched_yaw(own),
            covariance,
            modes,
            np.array(image_pose[:2]),
            image_covariance[:2, :2],
            no_match,
        )
        refused = gate(config, judged)
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
            confidence=(1 - (no_match or 0.0))
            * heatmap.mass_within(pose[:2], config.confidence_radius),
            no_match=no_match,
            modes=tuple(modes),
            heatmap=heatmap,
            patch=searched.patch,
            prior=prior,
            prior_fused=config.fuse_prior,
            raw_pose=pose,
            raw_covariance=bounds,
        )

    def _at_base(
        self, belief: Belief, place: Place, reference: float
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
        if len(belief.yaw_offsets) == 1:
            return self._searchable_yaw
        return min(self._searchable_yaw, searched_half(belief.yaw_offsets))
