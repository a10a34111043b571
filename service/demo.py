"""`chartbrief demo`: three practice hospitals, one patient, from discovery to the page, with the product's own parts.

Nothing here is a shortcut: the hospitals are HTTP servers on loopback that misbehave like their models, and everything
between them and the page goes through the same store, workflow, normalizer, context builder and API as in production.
"""

from __future__ import annotations
