"""The ear's end of the socket to the link."""
