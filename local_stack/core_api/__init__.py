"""The parts of the fake of Hyperline's core API."""
