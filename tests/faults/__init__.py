"""Faults under load, with a ledger of what clients were told: `python -m tests.faults`, or `make faults`."""
