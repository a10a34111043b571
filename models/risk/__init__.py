"""Features, training, validation and scoring."""
