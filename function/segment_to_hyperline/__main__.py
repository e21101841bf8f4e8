"""`python -m segment_to_hyperline` is the command `segment-to-hyperline`."""

from segment_to_hyperline.cli.main import main

main()
