"""Turn the measurements into the tables and the plot of README.md."""
