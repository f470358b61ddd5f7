"""Many runs on many devices, unattended: a plan, a queue that alone says who does what, a worker for each device."""
