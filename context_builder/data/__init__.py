"""Word lists and term tables of the verifier."""
