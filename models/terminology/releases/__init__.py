"""Official releases that a user is licensed for: read once, kept as one immutable index file for each version, asked by date."""
