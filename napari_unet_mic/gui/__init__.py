"""The napari side: panels, layers, state."""
