"""C-CDA (R1.1, R2.1) and its kin (eICR, reportability responses, single sections and entries) -> resources in R4's shape.

A document is read section by section. Each clinical statement of a section becomes one or more R4-shaped dicts, which the one
tolerant reader of adapters/normalizer turns into entries, so that codes, statuses, dates, doses, remarks and duplicates behave
as they do for FHIR (docs/decisions/0017-ccda-through-the-r4-readers.md). What is not understood is counted and keeps its text.

Templates: C-CDA R2.1 (https://www.hl7.org/ccdasearch/), US Core/C-CDA mapping guide (https://hl7.org/fhir/us/ccda/).
"""
