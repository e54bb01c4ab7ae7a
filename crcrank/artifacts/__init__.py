"""Schemas, atomic store and provenance of everything that crcrank writes."""
