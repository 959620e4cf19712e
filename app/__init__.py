"""Bindery: hand-written SQL bound to typed Python, and the RealWorld API served on top of it."""
