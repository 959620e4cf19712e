"""What ran, how often and how long, and for which request or job."""
