"""Corpora in their official layouts, one file each; `training.data.corpora.catalogue` knows them all."""
