"""Fixtures: a stack that receives events, and the present."""

from tests.segment_to_hyperline.sending.conftest import gateway, present

__all__ = ["gateway", "present"]
