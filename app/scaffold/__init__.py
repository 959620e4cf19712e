"""What starts a service of one's own: takes the example off, and writes new resources. No part of a running service."""
