"""Are two records one person: standardize, compare, decide, explain. Nothing is linked here; the store does that."""

from models.identity.directory import Directory
from models.identity.matching import Matches, Pair, candidates_for, match
from models.identity.person import Person, from_fields, from_record

__all__ = ["Directory", "Matches", "Pair", "Person", "candidates_for", "from_fields", "from_record", "match"]
