"""Everything that lives between configure and cleanup: the localizer, and while active the rest."""

from __future__ import annotations

import torch
from rclpy.node import Node

from cross_view_localizer.localizer import Localizer
from cross_view_localizer.ros.activity import Activity
from cross_view_localizer.ros.configurations import localizer_config, prior_config
from cross_view_localizer.ros.incoming.static_transforms import StaticTransforms
from cross_view_localizer.ros.outgoing.facts import Facts
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.parameters import Parameters


class Session:
    """Loads at construction (configure); ``start`` and ``stop`` are activate and deactivate.

    Attributes:
        parameters: those in force.
        loaded: name -> value of what was loaded, for people.
        warnings: what was odd about the map.

    Raises:
        ValueError: (also as WeightsError, MapError) what to fix, one line.
    """

    def __init__(
        self, node: Node, parameters: Parameters, transforms: StaticTransforms, reporter: Reporter
    ) -> None:
        self._node, self._transforms, self._reporter = node, transforms, reporter
        self.parameters = parameters
        prior_config(parameters)  # its values are checked now, not at activation
        self.warnings: list[str] = []
        self.localizer = Localizer.from_files(localizer_config(parameters), self._warn_of_map)
        check_frames(self.localizer)
        self.loaded = _described(self.localizer, parameters)
        self._activity: Activity | None = None

    def _warn_of_map(self, text: str) -> None:
        self.warnings.append(text)
        self._reporter.warn("map", text, kind=text)

    def start(self) -> None:
        """Subscribe, publish, and begin to work."""
        self._activity = Activity(
            self._node, self.parameters, self.localizer, self._transforms, self._reporter
        )

    def stop(self) -> None:
        """Unsubscribe and end the work; harmless where there is none."""
        activity, self._activity = self._activity, None
        if activity is not None:
            activity.stop()
            # Parameters that no frame came after.
            self.localizer.adjust(localizer_config(self.parameters))

    def close(self) -> None:
        """Stop, and give map and network back; the session is of no more use."""
        self.stop()
        self.localizer.satellite_map.close()
        del self.localizer
        release_device_memory()

    def adjust(self, parameters: Parameters) -> None:
        """Take other live parameters; the next frame is answered with them.

        Raises:
            ValueError: a value that doesn't fit, one line; nothing is changed then.
        """
        config = localizer_config(parameters)
        prior_config(parameters)
        self.parameters = parameters
        if self._activity is None:
            self.localizer.adjust(config)
        else:
            self._activity.adjust(parameters)

    def facts(self, state: str, problem: str) -> Facts:
        """Return what diagnostics say; any thread."""
        activity = self._activity
        return Facts(
            state,
            problem,
            self.parameters,
            self.loaded,
            tuple(self.warnings),
            activity.image_facts() if activity else None,
            activity.prior_facts() if activity else None,
        )

    def housekeeping(self) -> None:
        """Called twice a second: what has no event of its own."""
        if self._activity is not None:
            self._activity.housekeeping()


def _described(localizer: Localizer, parameters: Parameters) -> dict[str, str]:
    datum = localizer.satellite_map.datum
    return {
        "model": localizer.model_id,
        "device": str(localizer.device),
        "map": parameters.map,
        "datum": f"{datum.latitude:.7f} {datum.longitude:.7f}",
        "heading_source": parameters.heading_source,
    }


def check_frames(localizer: Localizer) -> None:
    """Refuse a model that can't do with the one frame that the node gives it.

    Raises:
        ValueError: as said, one line.
    """
    if few := localizer.view.few_frames(1):
        localizer.satellite_map.close()
        raise ValueError(
            f"{localizer.model_id}: {few}, which this node does not gather: choose weights of a "
            "model that takes one"
        )


def release_device_memory() -> None:
    """Return what nobody uses any more to the GPU: PyTorch would keep it for itself."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
