"""What a person decides about labels: which mistakes are done, and why."""
