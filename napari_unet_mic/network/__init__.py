"""The plan-derived U-Net and its checkpoints."""
