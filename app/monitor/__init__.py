"""What operators see of a running service: metrics at /metrics, the page at /monitor, and `python -m app top`."""
