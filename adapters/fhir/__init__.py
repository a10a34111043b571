"""FHIR over HTTP: the client, search and paging, capability statements, OperationOutcomes."""
