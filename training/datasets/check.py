"""Whether a download is right: what `python -m training.check` finds out, for any reader."""

from __future__ import annotations

from training.datasets.files import usable

__all__ = ["usable"]
