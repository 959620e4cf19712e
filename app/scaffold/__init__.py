"""Takes the example off and writes new resources. A running service does not load it."""
