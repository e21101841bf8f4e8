"""The application: Segment events in, Hyperline billable events out."""
