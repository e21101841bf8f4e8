"""A local AWS with the application, and fakes of Segment and Hyperline."""
