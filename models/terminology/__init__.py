"""Code systems, categories and units."""
