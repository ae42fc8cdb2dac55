"""Models that are pushed to a box: what a release says, and where it is kept. No network and no interpreter in here."""
