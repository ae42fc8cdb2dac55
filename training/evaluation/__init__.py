"""How good a bundle is: the protocols, champion against challenger, the report. `training.evaluate` knows them all."""
