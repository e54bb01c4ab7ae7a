"""Exact best formulas of a class, streamed from the search kernels."""
