"""Formulas, ions and elemental properties: the only room that may import pymatgen (so far only tests and scripts do)."""
