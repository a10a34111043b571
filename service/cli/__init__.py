"""The command line: a file you have, the service, its sites, patients and keys."""
