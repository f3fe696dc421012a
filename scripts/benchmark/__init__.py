"""`scripts/bench`: what the product takes, in seconds, CPU and memory, measured on the running system."""
