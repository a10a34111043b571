"""Are two people the same person?"""
