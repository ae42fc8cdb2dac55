"""Corpora in their official layouts, one file each; `training.corpora.catalogue` knows them all."""
