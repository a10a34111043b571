"""The clinical outside world, turned into record entries."""
