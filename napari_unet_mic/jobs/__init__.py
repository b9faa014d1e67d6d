"""Child processes: start, watch, stop, reattach."""
