"""Endpoint lists: read, searched, and the commands over them."""
