"""From a case to the network's grid, and back."""
