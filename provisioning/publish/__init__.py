"""Publishing of models: offline keys, the signed catalogue, the hub's repository, and the push to devices."""
