"""Recommend chemically relevant compositions: train, rank every candidate exactly, validate."""

__version__ = "0.1.0"
