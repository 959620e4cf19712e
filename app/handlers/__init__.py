"""The resources of the service: each reads the request, calls its repository, and answers. May import app.http."""
