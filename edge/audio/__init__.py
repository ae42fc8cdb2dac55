"""Audio files, levels, voice activity detection and segmentation."""
