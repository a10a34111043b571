"""The patient record every room speaks, and the models that infer from it."""
