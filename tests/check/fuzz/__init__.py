"""Tries the proofs on random statements over small tables full of nulls."""
