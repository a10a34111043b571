"""SMART on FHIR: discovery, scopes, keys, backend services, launches, tokens."""
