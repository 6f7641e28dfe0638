"""Whether what was exported answers as the model does."""
