"""The HTTP interface: JSON for programs under /v1, and the page for a browser."""
