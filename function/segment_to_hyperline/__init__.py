"""The application: Segment events in, Hyperline billable events out."""

# The only place of the version: hatchling reads it here, and tests/test_version.py
# compares the template and the changelog with it.
__version__ = "0.2.0"
# The user agent of requests to Hyperline.
USER_AGENT = f"segment-to-hyperline/{__version__}"
