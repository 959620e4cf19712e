"""The roles of a database and the rights of each: owner, application, reader and monitor."""
