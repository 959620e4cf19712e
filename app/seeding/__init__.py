"""Data of any size with the shapes of real data, the same for the same size: a part of the example."""
