"""HTTP: reads the request, calls repositories, answers. One module for each resource."""
