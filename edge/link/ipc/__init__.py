"""The link's end of the socket from the ear."""
