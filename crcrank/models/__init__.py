"""Recommenders: one file each, one contract."""
