"""Fixtures: a stack that receives events."""

from tests.segment_to_hyperline.sending.conftest import gateway, present

__all__ = ["gateway", "present"]
