"""What every method offers and asks for, so that localizer, training and evaluation treat all
alike and ask none what it is.

A method is one file: a subclass of `CrossViewModel` that owns its view, encoders and matcher, and,
where it learns, its loss with the loss's options. What it needs beyond that it says through the
hooks here, each with an answer that suits a method without the need: how batches are drawn, what
is fitted after a validation, what half precision asks for, how two headings are compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cross_view_localizer.belief.headings import CellHeadings
from cross_view_localizer.views import View

Terms = dict[str, Tensor]
"""Named terms of a loss, float32 scalars; the one to be minimised is called "loss"."""


class GroundInput(NamedTuple):
    """A batch of ground pictures with what is known of their cameras.

    Attributes:
        image: (B, 3, ground_height, ground_width) float, RGB, 0 … 255.
        intrinsics: (B, 3, 3) pinhole matrix at this size (pixel centres at integers); for
            panoramas unused.
        rotation: (B, 3, 3) takes a vector of the optical frame (x right, y down, z forward) to the
            camera's levelled frame (x along the camera's azimuth, y left, z up): the mounting's
            pitch and roll.
        height: (B,) optical centre above the road, metres.
        earlier: (B, T, 3, ground_height, ground_width) pictures that the same camera took before,
            the latest first, with the same intrinsics, rotation and height; None where there are
            none. T lies between the frames that the `View` needs and those that it takes, less one.
        motion: (B, T, 3) where the camera was then: x, y (metres) and yaw (radians,
            counter-clockwise) of its levelled frame in the newest one. None with ``earlier``.
        mask: (B, 1, ground_height, ground_width) float, 1 where ``image`` is picture and 0 where it
            is padding; None: picture everywhere. Earlier pictures have the same.
    """

    image: Tensor
    intrinsics: Tensor
    rotation: Tensor
    height: Tensor
    earlier: Tensor | None = None
    motion: Tensor | None = None
    mask: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> GroundInput:
        """Return the same with every tensor that there is changed, such as moved or cut."""
        parts: Any = (None if part is None else change(part) for part in self)
        return GroundInput(*parts)


class Batch(NamedTuple):
    """What a loss is given: pairs of pictures with their truth.

    Attributes:
        aerial: (B, 3, aerial_size, aerial_size) float, RGB, 0 … 255.
        ground: the cameras' pictures.
        tilt: (B, 2) pitch and roll of the optical frame that the calibration misses, radians;
            NaN where nobody knows: no loss may come of those.
        offset: (B, 2) truth minus the heatmap's middle, metres to the (right, down).
        yaw: (B,) camera azimuth minus the aerial picture's up, radians, counter-clockwise.
        cell: (B,) metres per heatmap cell; differs from the view's where tiles of several
            resolutions are resized to one size.
        place: (B, 3) float64 where on Earth the truth is, metres in one frame for all samples of
            all datasets, for distances within a batch; NaN where nobody knows. None where
            nobody asked.
        height_error: (B,) logarithm of the camera's true height over the stated one; NaN where
            nobody knows. None where nobody asked.
        same_place: (B,) 1 where the pictures show the same place, 0 where they do not (then offset
            and yaw mean nothing); None: all do.
    """

    aerial: Tensor
    ground: GroundInput
    tilt: Tensor
    offset: Tensor
    yaw: Tensor
    cell: Tensor
    place: Tensor | None = None
    height_error: Tensor | None = None
    same_place: Tensor | None = None

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """Every tensor that there is, those of the ground pictures after the aerial one."""
        return tuple(
            part for part in (self.aerial, *self.ground, *self[2:]) if isinstance(part, Tensor)
        )

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the same with every tensor that there is changed, such as moved or cut."""
        parts: Any = {
            name: None if part is None else change(part)
            for name, part in self._asdict().items()
            if name != "ground"
        }
        return Batch(ground=self.ground.each(change), **parts)


class Answer(NamedTuple):
    """What match() returned for one sample, as arrays; see `Scores`.

    Attributes:
        log_mass: (R, H, W) float32.
        yaw_offsets: (R,) float64.
        heading, concentration: (H, W) float64, or None.
        no_match: probability that the pictures do not show the same place, or None.
    """

    log_mass: NDArray[np.float32]
    yaw_offsets: NDArray[np.float64]
    heading: NDArray[np.float64] | None = None
    concentration: NDArray[np.float64] | None = None
    no_match: float | None = None

    @property
    def headings(self) -> CellHeadings | None:
        """The continuous headings.

        Raises:
            ValueError: not finite, or of another shape than their concentrations.
        """
        if self.heading is None or self.concentration is None:
            return None
        return CellHeadings(self.heading, self.concentration)


class Scores(NamedTuple):
    """What match() returns: a distribution over positions, and over headings where there is one.

    Headings come in one of three ways: a few offsets that all samples share, a few of each
    sample's own, or one continuous distribution in each cell (R = 1 then).

    Attributes:
        log_mass: (B, R, output_size, output_size) float32; each sample's exponentials sum to one
            over the last three axes. Rows run down (image-down), columns right.
        yaw_offsets: (R,) or (B, R) float32 radians, counter-clockwise: camera azimuth minus the
            aerial picture's up (heading-up views), ascending. A single 0 where the method takes
            the heading as given, or gives ``heading``.
        heading: (B, output_size, output_size) radians, counted as yaw_offsets are: the middle of a
            von Mises distribution of the heading, if the camera stands in that cell; None where
            headings are yaw_offsets.
        concentration: (B, output_size, output_size) its κ, above 0 (about 1 / σ² for σ in radians).
        no_match: (B,) float32 probability that the two pictures do not show the same place (another
            camera's picture, a wrong map, a covered lens); the distribution is what it is given
            that they do. None where the method was not trained to tell.
    """

    log_mass: Tensor
    yaw_offsets: Tensor
    heading: Tensor | None = None
    concentration: Tensor | None = None
    no_match: Tensor | None = None

    def answer(self, index: int) -> Answer:
        """Return what one sample of the batch got."""
        offsets = self.yaw_offsets if self.yaw_offsets.ndim == 1 else self.yaw_offsets[index]
        heading, concentration = (
            None if part is None else part[index].double().cpu().numpy()
            for part in (self.heading, self.concentration)
        )
        log_mass = self.log_mass[index].float().cpu().numpy()
        no_match = None if self.no_match is None else float(self.no_match[index])
        return Answer(log_mass, offsets.double().cpu().numpy(), heading, concentration, no_match)


class Fitted(NamedTuple):
    """A Gaussian fitted to errors (`CrossViewModel.fit_errors`).

    Attributes:
        sigma: along each axis, in metres at the view's resolution.
        nll: mean negative log density, nats over m².
    """

    sigma: float
    nll: float


def log_softmax_map(logits: Tensor) -> Tensor:
    """Normalise (B, R, H, W) logits to log mass over (R, H, W), float32 whatever autocast says."""
    flat = torch.log_softmax(logits.float().flatten(1), dim=1)
    return flat.view(logits.shape)


class Drawing(Protocol):
    """A way of drawing batches that a method needs, such as `models.parts.drawing.Neighbours`."""

    def arranged(
        self, places: NDArray[np.float64], batch: int, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """Return the order of an epoch's rows: each ``batch`` of them in turn make a batch.

        Args:
            places: (N, 3) of the rows, metres, as `Batch.place`.
            batch: rows that one batch holds, over all processes.
            rng: everything random comes from it, so that a training can be resumed.

        Returns:
            (N,) every row once; a last incomplete batch is dropped.
        """


class CrossViewModel(nn.Module, ABC):
    """A published method, or ours: two encoders and a matcher.

    Encoding is apart from matching so that an aerial encoding can be kept while the vehicle stays
    inside the patch.

    Attributes:
        view: the pictures it is made for.
        objective: the options of its loss, a frozen dataclass of plain values with defaults, which
            a recipe's ``terms`` change; None: a method that learns nothing.
        peak_kind: what `peak` compares.
        tells_no_match: it is trained to give `Scores.no_match`, and its loss minds
            `Batch.same_place`.
    """

    view: View
    objective: Any = None
    peak_kind: ClassVar[Literal["logit", "log mass"]] = "log mass"
    tells_no_match: bool = False

    @abstractmethod
    def encode_aerial(self, image: Tensor) -> Any:
        """Encode (B, 3, aerial_size, aerial_size) float RGB 0 … 255."""

    @abstractmethod
    def encode_ground(self, ground: GroundInput) -> Any:
        """Encode a batch of ground pictures."""

    @abstractmethod
    def match(self, aerial: Any, ground: Any) -> Scores:
        """Compare two encodings of the same batch size."""

    def forward(self, aerial: Tensor, ground: GroundInput) -> Scores:
        """Encode both and match."""
        return self.match(self.encode_aerial(aerial), self.encode_ground(ground))

    # -- learning --------------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: float) -> Terms:
        """Return the terms of the method's own loss on a batch, with its own ``objective``.

        It may run the encoders and matcher as it likes, intermediate predictions included. Terms
        are computed in float32 whatever autocast says, and are averages over the batch (over all
        processes' batches where a sample can drop out: `losses.mean_over_ranks`).

        Args:
            progress: 0 at the start of the training, 1 at its end.
        """
        raise NotImplementedError(f"{type(self).__name__} learns nothing: it has no loss")

    def drawing(self) -> Drawing | None:
        """Return how batches are to be drawn; None: every row once, in random order."""
        return None

    def fit_errors(self, errors: NDArray[Any], cells: NDArray[Any]) -> Fitted | None:
        """Fit what no gradient reaches, a regressor's spread, to errors on held-out rows.

        Args:
            errors: (N, 2) metres, along two axes.
            cells: (N,) metres per heatmap cell of each row.

        Returns:
            What was fitted; None where the method has nothing to fit.
        """
        return None

    # -- running ---------------------------------------------------------------------------------

    def prepare_inference(self, dtype: torch.dtype) -> CrossViewModel:
        """Change what half precision asks for, such as the weights' type, and return self."""
        return self

    def peak(self, aerial: Any, ground: Any) -> Tensor:
        """Return (B,) how strongly the best place answers: several headings are ranked by it.

        The highest activation before the softmax where the method has one (``peak_kind`` "logit"),
        else the peak of the log mass, which says how concentrated the answer is.
        """
        return self.match(aerial, ground).log_mass.flatten(1).amax(dim=1)
