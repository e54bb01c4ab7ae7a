import numpy as np
import pytest

from crcrank.config import load_config
from crcrank.errors import ArtifactError, ModelFitError
from crcrank.models import trees
from crcrank.models.trees import Trees, grow_trees


def test_stored_trees_give_what_scikit_learn_gives(monkeypatch):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((500, 6)).astype(np.float32), rng.integers(2, size=500)
    grower = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=0).fit(rows, labels)
    found = trees._as_arrays(grower)
    found.check(6, "the trees")
    monkeypatch.setattr(trees, "_CHUNK", 77)
    np.testing.assert_allclose(found.sums(rows), grower.decision_function(rows), rtol=1e-12, atol=1e-12)


def test_trees_that_scikit_learn_keeps_in_another_way_are_noticed(monkeypatch):

    rows = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    settings = load_config().train.stack.trees.model_copy(update={"n_trees": 3})
    monkeypatch.setattr(Trees, "sums", lambda self, rows: np.full(len(rows), self.nodes[4].sum()))
    with pytest.raises(ModelFitError, match="this version of scikit-learn keeps its trees in another way"):
        grow_trees(rows, rows[:, 0] > 0, settings, 0)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(0, 0, 3.0), (0, 0, -1.0), (0, 0, 0.5), (1, 0, np.nan), (2, 0, 7.0), (3, 0, 0.0), (4, 1, np.inf)],
)
def test_damaged_trees_are_refused(row, column, value):
    nodes = np.array([[0, 0, 0], [0.5, 0, 0], [1, 1, 2], [2, 1, 2], [0, -1, 1]], np.float64)
    Trees(nodes, np.zeros(1)).check(3, "the nodes")
    nodes[row, column] = value
    with pytest.raises(ArtifactError, match="model: the nodes are no trees over 3 features; train it again"):
        Trees(nodes, np.zeros(1)).check(3, "the nodes")
    with pytest.raises(ArtifactError, match="are no trees"):
        Trees(nodes, np.array([9.0])).check(3, "the nodes")
