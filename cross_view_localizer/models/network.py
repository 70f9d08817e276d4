"""Runs a model on a device: precision, memory layout, transfers, and the time each part takes."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cross_view_localizer.models.contract import Answer, CrossViewModel, GroundInput
from cross_view_localizer.views import View


class Ground(NamedTuple):
    """A ground picture, (h, w, 3) uint8 RGB, and those before it; the rest as in `GroundInput`.

    The mask is (h, w) uint8, 1 where there is picture; None: everywhere.
    """

    image: NDArray[np.uint8]
    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]
    height: float
    earlier: Sequence[NDArray[np.uint8]] = ()
    motion: Sequence[tuple[float, float, float]] = ()
    mask: NDArray[np.uint8] | None = None


def choose_device(name: str) -> torch.device:
    """Return the device of "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ValueError: another name, or a CUDA device that isn't there; one line.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device '{name}': expected auto, cpu or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"device '{name}' is not there ({count} CUDA devices): choose auto or cpu")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


class Network:
    """A model in evaluation mode on its device.

    Args:
        model: moved to the device and laid out channels-last.
        device: see :func:`choose_device`.
        precision: "auto", "float32", "bfloat16" or "float16" (autocast; log-softmax stays float32).
    """

    def __init__(self, model: CrossViewModel, device: str, precision: str) -> None:
        self.device = choose_device(device)
        if precision == "auto":
            precision = "bfloat16" if self.device.type == "cuda" else "float32"
        self.precision = precision
        # The stubs of torch lack this form of to().
        laid_out: Any = model.to(self.device).eval()
        self.model: CrossViewModel = laid_out.to(memory_format=torch.channels_last)
        # A model may keep its weights in the precision it runs in, so that nothing is converted.
        if precision != "float32":
            self.model = copy.deepcopy(self.model).prepare_inference(getattr(torch, precision))
        self.timing: dict[str, float] = {}

    @property
    def view(self) -> View:
        """The pictures that the model is made for."""
        return self.model.view

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall-clock milliseconds of a block to ``timing[stage]``, waiting for the GPU."""
        start = time.perf_counter()
        try:
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        finally:
            spent = (time.perf_counter() - start) * 1e3
            self.timing[stage] = self.timing.get(stage, 0.0) + spent

    def _autocast(self) -> torch.autocast:
        dtype = torch.float32 if self.precision == "float32" else getattr(torch, self.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def _picture(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """(1, 3, H, W) float of (H, W, 3) uint8; bytes travel, floats are made over there."""
        tensor = torch.from_numpy(np.ascontiguousarray(image))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        # A channels-last view already: the channels are the innermost in memory.
        return tensor.permute(2, 0, 1)[None].float()

    def _number(self, value: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(value, dtype=np.float32))[None].to(self.device)

    def aerial_input(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Return (B, 3, S, S) float on the device of pictures (S, S, 3) uint8 RGB."""
        return torch.cat([self._picture(image) for image in images])

    def ground_input(self, grounds: Sequence[Ground]) -> GroundInput:
        """Return a batch on the device, with as many earlier pictures as all have."""
        count = min(len(ground.earlier) for ground in grounds)
        earlier = motion = None
        if count:
            earlier = torch.stack([self.aerial_input(one.earlier[:count]) for one in grounds])
            motion = torch.cat([self._number(one.motion[:count]) for one in grounds])
        return GroundInput(
            self.aerial_input([one.image for one in grounds]),
            torch.cat([self._number(one.intrinsics) for one in grounds]),
            torch.cat([self._number(one.rotation) for one in grounds]),
            torch.cat([self._number(one.height) for one in grounds]),
            earlier,
            motion,
            self._masks(grounds),
        )

    def _masks(self, grounds: Sequence[Ground]) -> torch.Tensor | None:
        """(B, 1, h, w) float, where any picture is padded."""
        if all(one.mask is None for one in grounds):
            return None
        full = np.ones(grounds[0].image.shape[:2], np.uint8)
        masks = np.stack([full if one.mask is None else one.mask for one in grounds])
        return torch.from_numpy(masks)[:, None].to(self.device).float()

    @contextlib.contextmanager
    def running(self) -> Iterator[CrossViewModel]:
        """Give the model to be called on batches, in its precision and without gradients."""
        with torch.inference_mode(), self._autocast():
            yield self.model

    def match_batch(
        self, aerials: Sequence[NDArray[np.uint8]], grounds: Sequence[Ground]
    ) -> list[Answer]:
        """Encode and compare several pairs at once."""
        with self.running() as model:
            scores = model(self.aerial_input(aerials), self.ground_input(grounds))
            return [scores.answer(index) for index in range(len(grounds))]

    @torch.inference_mode()
    def encode_aerial(self, image: NDArray[np.uint8]) -> Any:
        """Encode (S, S, 3) uint8 RGB."""
        with self.timed("encode_aerial"), self._autocast():
            return self.model.encode_aerial(self._picture(image))

    @torch.inference_mode()
    def match(self, aerial: Any, ground: Ground) -> Answer:
        """Encode a ground picture, and those before it, and compare."""
        with self.timed("encode_ground"), self._autocast():
            encoded = self.model.encode_ground(self.ground_input([ground]))
        with self.timed("match"), self._autocast():
            return self.model.match(aerial, encoded).answer(0)

    def warm_up(self) -> None:
        """Run once on black pictures, so that the first frame does not pay for set-up."""
        view = self.model.view
        aerial = self.encode_aerial(np.zeros((view.aerial_size, view.aerial_size, 3), np.uint8))
        focal = view.ground_width / 2
        middle = ((view.ground_width - 1) / 2, (view.ground_height - 1) / 2)
        intrinsics = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
        forward = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        black = np.zeros((view.ground_height, view.ground_width, 3), np.uint8)
        before = view.frames - 1
        still = [(0.0, 0.0, 0.0)] * before
        self.match(aerial, Ground(black, intrinsics, forward, 1.5, [black] * before, still))
