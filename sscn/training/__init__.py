"""Training: photographs to learn from, pairs of target and reference made of them, losses, the loop."""
