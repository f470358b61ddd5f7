"""Results from and for others: their timings taken in, ours given out."""
