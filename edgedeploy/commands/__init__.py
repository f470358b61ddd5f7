"""One file per command; each has a click command named `command` and imports the rooms it calls late."""
