"""Writes that clients may repeat: the header Idempotency-Key."""
