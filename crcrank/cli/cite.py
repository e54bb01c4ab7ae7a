"""What to cite."""

from __future__ import annotations

import typer

from crcrank import __version__

_CITATION = f"""\
crcrank {__version__}: recommend chemically relevant compositions (BSD-3-Clause; CITATION.cff).

Please cite the papers whose method it carries out:
- Seko, Hayashi, Kashima, Tanaka, Phys. Rev. Materials 2, 013805 (2018), doi:10.1103/PhysRevMaterials.2.013805
- Seko, Hayashi, Tanaka, J. Chem. Phys. 148, 241719 (2018), doi:10.1063/1.5016210
- Rendle, Factorization Machines, ICDM 2010, 995-1000, doi:10.1109/ICDM.2010.127
- SMACT (oxidation states): Davies et al., J. Open Source Softw. 4, 1361 (2019), doi:10.21105/joss.01361"""


def print_citation() -> None:
    """Print the works to cite."""
    typer.echo(_CITATION)
