"""A second API of one source: some EHRs keep a part of the record behind an older API of their own (decision 0014).

`schema` is what a vendor's profile may say of it, `rows` takes answers apart, `fetch` asks beside the FHIR API. How rows
become resources is data too; `adapters/normalizer/companion.py` reads it.
"""
