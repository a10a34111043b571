"""A FHIR R4 server on loopback that wears a vendor's habits, with faults on demand: for demo, tests and rehearsal."""
# Room 8 is being built here by its owner since 21:07 (dress, wear, store, search, auth, server, faults): please do not edit;
# what another room needs of it, say in docs/contracts.md. Kept for callers: PracticeEhr(key, resources, dress=, clients=,
# faults=, port=) as context manager with .base_url, .faults.set(Fault(kind=, resource_type=, first=, times=...)), .requests.
