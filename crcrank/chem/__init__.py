"""Formulas, ions and elemental properties: the only room that imports pymatgen."""
