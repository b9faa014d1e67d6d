"""Runs the command line: ``python -m napari_unet_mic …``; child processes start this way."""

from napari_unet_mic.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
