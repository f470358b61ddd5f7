"""What was measured: kept, read, and answered from."""
