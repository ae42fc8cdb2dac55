"""Publishing models: the offline keys, what is published, and the push to the boxes."""
