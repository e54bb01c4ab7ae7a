"""Figures of merit for rankings: hit tables, discovery curves, validation splits."""
