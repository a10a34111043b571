"""The page of one patient, for a browser: templates, its static files and the values they show."""
