"""From a configuration to weights: the loop, its checkpoints, the stages, and the run that knows folders."""
