"""The client of a served model and a server to run in a process."""
