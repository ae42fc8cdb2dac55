"""How good a bundle is: protocols, comparison of two bundles, report. `training.evaluate.evaluator` lists them."""
