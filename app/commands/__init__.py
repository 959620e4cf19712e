"""The commands of `python -m app`, a module for each; `command` in it is click's."""
