"""A run over two devices: how they reach each other, what the link is, who computes what. Durations travel, never instants."""
