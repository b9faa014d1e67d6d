"""From a model folder and an image to a label volume."""
