"""Try it: a recording from the browser is classified in memory by the code of the device, and not stored."""
