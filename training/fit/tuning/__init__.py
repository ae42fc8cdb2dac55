"""`roomtone train tune`: the encoder of `base`, or the student `small`, tuned on simulated households in stages."""
