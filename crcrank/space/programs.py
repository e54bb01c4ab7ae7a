"""What a model can compile to, for a ranking of a whole class."""

from typing import TypeAlias

from crcrank.kernels.forms import ScoringProgram
from crcrank.space.listed import ListedScores
from crcrank.space.shuffled import ShuffledScores

# Either a program that the search kernels run over all candidates, or one that needs no search.
RankingProgram: TypeAlias = ScoringProgram | ListedScores | ShuffledScores
