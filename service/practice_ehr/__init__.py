"""A FHIR R4 server on loopback that wears a vendor's habits, with faults on demand: for demo, tests and rehearsal."""
