"""What the product costs and how well it does on known ground, measured afresh at each call."""
