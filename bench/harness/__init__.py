"""Build and run the contenders, and measure them."""
