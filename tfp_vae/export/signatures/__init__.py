"""What a model answers once it has left the training script: named pure functions."""
