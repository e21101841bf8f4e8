"""The functions that are compared; each is copied alone into a folder and run there."""
