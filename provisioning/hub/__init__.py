"""`roomtone hub setup` and `run`: a whole hub on one machine, from Debian's mosquitto and caddy."""
