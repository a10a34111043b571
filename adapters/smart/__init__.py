"""SMART on FHIR: discovery, scopes, keys and backend services."""
