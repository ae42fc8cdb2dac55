"""The commands of a device, one module each; no other package imports them."""
