"""Finding speech: is somebody speaking (`vad`), and from when to when (`segmenter`)."""
