"""The lifecycle node: declares, configures, and stays up when that fails."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

import torch
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from cross_view_localizer.ros import parameters as table
from cross_view_localizer.ros import qos
from cross_view_localizer.ros.incoming.static_transforms import StaticTransforms
from cross_view_localizer.ros.outgoing.diagnostics import DiagnosticsPublisher
from cross_view_localizer.ros.outgoing.facts import Facts
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.outgoing.status import Status
from cross_view_localizer.ros.parameters import ParameterError, Parameters
from cross_view_localizer.ros.session import Session, release_device_memory

_NEXT_CONFIGURE = (
    "parameter {} takes effect at the next configure: deactivate and clean up, then set it"
)
_OK, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class LocalizerNode(LifecycleNode):
    """See README for topics and parameters.

    Attributes:
        state: label of the lifecycle state.
        session: what configure made; None where unconfigured.
        problem: why the last configure failed, else "".
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            "cross_view_localizer",
            automatically_declare_parameters_from_overrides=True,
            **arguments,
        )
        self.state = "unconfigured"
        self.session: Session | None = None
        self.problem = ""
        self.status = Status()
        self.reporter = Reporter(self.get_logger(), self.status)
        self._transforms = StaticTransforms()
        self._rejected: dict[str, str] = {}
        self._declare()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(0.5, self._housekeeping, clock=steady)
        self._refuse_impossible_transitions()
        period = self.get_parameter("diagnostics_period").value
        self.diagnostics = DiagnosticsPublisher(self, self._facts, self.reporter, period)

    # -- parameters -------------------------------------------------------------------------------

    def _declare(self) -> None:
        """Declare the table; overrides that don't fit are kept for configure to report."""
        rows = table.table()
        known = {row.name for row in rows}
        for name in sorted(set(self.get_parameters_by_prefix("")) - known):
            if not table.is_built_in(name):
                near = difflib.get_close_matches(name, known, n=1)
                hint = f": did you mean {near[0]}?" if near else ""
                self.reporter.warn(f"parameter {name}", f"unknown parameter {name}{hint}")
        for row in rows:
            value = row.default
            if self.has_parameter(row.name):
                given = self.get_parameter(row.name).value
                self.undeclare_parameter(row.name)
                try:
                    value = table.checked(row.name, given)
                except ParameterError as error:
                    self._rejected[row.name] = str(error)
            self._declare_row(row, value)

    def _declare_row(self, row: Any, value: Any) -> None:
        if not isinstance(value, tuple):
            self.declare_parameter(row.name, value, _descriptor(row), ignore_override=True)
            return
        # An empty list would be taken for one of bytes: declare by type, then set.
        kind = Parameter.Type.DOUBLE_ARRAY
        self.declare_parameter(row.name, kind, _descriptor(row), ignore_override=True)
        self.set_parameters([Parameter(row.name, kind, list(value))])

    def _on_set_parameters(self, changed: list[Any]) -> SetParametersResult:
        """Check what is to be set, and hand live parameters on; the others need a new session."""
        rows = {row.name: row for row in table.table()}
        session, live = self.session, {}
        for parameter in changed:
            name = parameter.name
            # Not while rclpy declares an override's default.
            if session is not None and qos.is_override(name) and self.has_parameter(name):
                return _refused(_NEXT_CONFIGURE.format(name))
            if name not in rows:
                continue
            try:
                value = table.checked(name, parameter.value)
            except ParameterError as error:
                return _refused(str(error))
            if session is not None and value != getattr(session.parameters, name):
                if not rows[name].metadata["live"]:
                    return _refused(_NEXT_CONFIGURE.format(name))
                live[name] = value
        if session is not None and live:
            try:
                session.adjust(replace(session.parameters, **live))
            except ValueError as error:
                return _refused(str(error))
        for parameter in changed:
            self._rejected.pop(parameter.name, None)
            if parameter.name == "diagnostics_period":
                self.diagnostics.set_period(parameter.value)
        return SetParametersResult(successful=True)

    def parameters(self) -> Parameters:
        """Return the present values.

        Raises:
            ParameterError: the first value given at start that did not fit.
        """
        for line in self._rejected.values():
            raise ParameterError(line)
        return table.from_mapping(
            {row.name: self.get_parameter(row.name).value for row in table.table()}
        )

    # -- lifecycle --------------------------------------------------------------------------------

    def autostart(self) -> None:
        """Configure and activate where the parameter says so."""
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == _OK:
            self.trigger_activate()

    def _refuse_impossible_transitions(self) -> None:
        """Answer them: of itself rclpy raises instead, and who called for it waits for ever."""
        service = self._service_change_state
        change = service.callback

        def answered(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except Exception as error:  # rcl's; ours never leave a transition's callback
                wanted = request.transition.label or f"number {request.transition.id}"
                self.reporter.warn(
                    "transition",
                    f"transition {wanted} refused: impossible in state {self.state} "
                    f"({_one_line(error)})",
                )
                response.success = False
                return response

        service.callback = answered

    def _guarded(self, doing: str, work: Any, done: str) -> TransitionCallbackReturn:
        """Say what to fix and stay where we were; of itself rclpy swallows exceptions here."""
        try:
            work()
        except Exception as error:
            self.problem = _one_line(error)
            self.reporter.failure(f"{doing} failed: {self.problem}", error, _is_foreseen(error))
        else:
            self.problem, self.state = "", done
            return _OK
        release_device_memory()  # what the exception held is gone only now
        return _FAILED

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load map and weights, warm the network up."""
        return self._guarded("configure", self._configure, "inactive")

    def _configure(self) -> None:
        qos.check(self)
        session = Session(self, self.parameters(), self._transforms, self.reporter)
        self.session = session
        loaded = session.loaded
        self.reporter.info(
            f"{loaded['model']} on {loaded['device']}; map {loaded['map']}, datum {loaded['datum']}"
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and publish."""
        return self._guarded("activate", lambda: self._session().start(), "active")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Fall silent; map and network stay loaded."""
        return self._guarded("deactivate", lambda: self._session().stop(), "inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give map and network back."""
        return self._guarded("cleanup", self._unload, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        return self._guarded("shutdown", self._unload, "finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, so that configure can be tried again."""
        return self._guarded("error handling", self._unload, "unconfigured")

    def _session(self) -> Session:
        if self.session is None:
            raise RuntimeError("not configured")
        return self.session

    def _unload(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _facts(self) -> Facts:
        session = self.session
        if session is None:
            return Facts(self.state, self.problem)
        return session.facts(self.state, self.problem)

    def _housekeeping(self) -> None:
        try:
            if self.session is not None:
                self.session.housekeeping()
        except Exception as error:  # nothing may escape a callback
            self.reporter.internal_error("housekeeping", error)

    def destroy_node(self) -> None:
        """End threads, then the node."""
        self.diagnostics.stop()
        self._unload()
        super().destroy_node()


def _refused(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)


def _is_foreseen(error: Exception) -> bool:
    """Return whether an error is of a kind that we raise with a line that says what to fix."""
    return isinstance(error, ValueError | OSError | ImportError | torch.cuda.OutOfMemoryError)


def _one_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else ""
    return first if _is_foreseen(error) and first else f"{type(error).__name__}: {first}"


def _descriptor(row: Any) -> ParameterDescriptor:
    meta = row.metadata
    made = ParameterDescriptor(description=meta["description"])
    constraints = ["one of " + ", ".join(meta["choices"])] if meta["choices"] else []
    constraints.append(f"takes effect {'at once' if meta['live'] else 'at the next configure'}")
    made.additional_constraints = "; ".join(constraints)
    if meta["minimum"] is not None:
        made.floating_point_range.append(
            FloatingPointRange(from_value=meta["minimum"], to_value=meta["maximum"])
        )
    return made
