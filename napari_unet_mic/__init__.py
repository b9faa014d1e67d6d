"""napari-unet-mic: plan, train, predict and inspect plan-derived U-Nets for 3-D medical images."""

__version__ = "0.1.0"
