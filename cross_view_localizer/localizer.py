"""The front door."""

from __future__ import annotations

from cross_view_localizer.estimate import Estimate, Frame, Reason, refusal

__all__ = ["Estimate", "Frame", "Reason", "refusal"]
