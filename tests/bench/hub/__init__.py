"""`./run bench hub`: the hub under load."""
