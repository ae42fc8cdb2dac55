"""Training on a workstation: corpora, augmentation, models, export, evaluation. Never installed on a room device."""
