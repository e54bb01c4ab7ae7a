"""The columns of every artifact, declared once."""

from __future__ import annotations

import pyarrow as pa

METADATA_KEY = b"crcrank"

_text = pa.string()
_texts = pa.list_(pa.string())
_counts = pa.list_(pa.int32())
_composition = [
    ("formula", _text),
    ("pretty_formula", _text),
    ("elements", _texts),
    ("amounts", _counts),
    ("n_elements", pa.int32()),
    ("source", _text),
    ("source_id", _text),
    ("source_ids", _texts),
    ("year", pa.int32()),
    ("flags", _texts),
]

SCHEMAS: dict[str, pa.Schema] = {
    "known": pa.schema(_composition),
    "rejected": pa.schema([("source", _text), ("line", pa.int64()), ("text", _text), ("reason", _text)]),
    "encoded": pa.schema(
        [
            ("formula", _text),
            ("composition_class", _text),
            ("candidate_id", pa.int64()),
            ("ions", _texts),
            ("coefficients", _counts),
            ("n_assignments", pa.int32()),
            ("candidate_ids", pa.list_(pa.int64())),
            ("weights", pa.list_(pa.float64())),
        ]
    ),
    "outside": pa.schema([("formula", _text), ("n_elements", pa.int32()), ("reason", _text)]),
    "model": pa.schema([("name", _text), ("shape", pa.list_(pa.int64())), ("values", pa.list_(pa.float64()))]),
    "plan": pa.schema(
        [
            ("composition_class", _text),
            ("block_id", pa.int64()),
            ("first_candidate_id", pa.int64()),
            ("n_candidates", pa.int64()),
            ("anion", _text),
            ("charges", _counts),
            ("coefficients", _counts),
        ]
    ),
    "candidates": pa.schema(
        [
            ("candidate_id", pa.int64()),
            ("composition_class", _text),
            ("formula", _text),
            ("ions", _texts),
            ("coefficients", _counts),
        ]
    ),
    "ranking": pa.schema(
        [
            ("composition_class", _text),
            ("rank", pa.int64()),
            ("formula", _text),
            ("pretty_formula", _text),
            ("score", pa.float64()),
            ("probability", pa.float64()),
            ("ions", _texts),
            ("coefficients", _counts),
            ("chemical_system", _text),
            ("radioactive", pa.bool_()),
            ("candidate_id", pa.int64()),
            ("nearest_known", _text),
            ("substitution", _text),
            ("n_one_ion_away", pa.int64()),
            ("n_known_in_system", pa.int64()),
            ("mixture", _text),
            ("family", _text),
            ("unusual_ions", _texts),
            ("scarce", _texts),
            ("toxic", _texts),
        ]
    ),
    # One row is a formula that was asked for: where `rank` would list it, or why nowhere.
    "ranks": pa.schema(
        [
            ("composition_class", _text),
            ("rank", pa.int64()),
            ("is_listed", pa.bool_()),  # else it comes after all listed formulas, and its rank counts candidates from there on
            ("formula", _text),
            ("pretty_formula", _text),
            ("score", pa.float64()),
            ("search_score", pa.float64()),  # of the model that searches first, as in the histogram
            ("ions", _texts),
            ("coefficients", _counts),
            ("chemical_system", _text),
            ("candidate_id", pa.int64()),
            ("reason", _text),  # why there is no rank
        ]
    ),
    # One row is a bin of the search scores of a class; the first and the last bin of a class take in all below and above.
    "histogram": pa.schema(
        [
            ("composition_class", _text),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("n_candidates", pa.int64()),
            ("n_known", pa.int64()),  # candidates of known formulas among them
            ("n_asked", pa.int64()),  # formulas with a rank, by their best candidate
        ]
    ),
    "diff": pa.schema(
        [
            ("composition_class", _text),
            ("formula", _text),
            ("pretty_formula", _text),
            ("change", _text),
            ("rank_before", pa.int64()),
            ("rank_after", pa.int64()),
            ("score_before", pa.float64()),
            ("score_after", pa.float64()),
        ]
    ),
    "validation": pa.schema(
        [
            ("composition_class", _text),
            ("holdout", _text),
            ("k", pa.int64()),
            ("n_hits", pa.int64()),
            ("hit_rate", pa.float64()),
            ("hit_rate_low", pa.float64()),
            ("hit_rate_high", pa.float64()),
            ("recall", pa.float64()),
            ("enrichment", pa.float64()),
            ("expected_random", pa.float64()),
            ("base_rate", pa.float64()),
            ("n_reachable", pa.int64()),
            ("n_holdout", pa.int64()),
            ("n_unknown", pa.int64()),
            ("hits_low", pa.int64()),  # 95 % interval by resampling the holdout
            ("hits_high", pa.int64()),
            ("log10_p_value", pa.float64()),  # of as many hits by chance
            ("coverage", pa.float64()),  # share of the known compositions of the class that the holdout has too
        ]
    ),
    # How far one must read in a class to find a share of a holdout.
    "depths": pa.schema(
        [
            ("composition_class", _text),
            ("holdout", _text),
            ("recall", pa.float64()),
            ("rank", pa.int64()),
            ("rank_low", pa.int64()),  # 95 % interval by resampling the holdout
            ("rank_high", pa.int64()),
            ("rank_random", pa.float64()),  # expected of a random order
            ("n_ranked", pa.int64()),
            ("n_unknown", pa.int64()),
        ]
    ),
    # One row is a compound of a holdout: its rank, and what among the known is rare about it, or why it is out of reach.
    "compounds": pa.schema(
        [
            ("holdout", _text),
            ("composition_class", _text),
            ("formula", _text),
            ("pretty_formula", _text),
            ("rank", pa.int64()),
            ("is_listed", pa.bool_()),
            ("score", pa.float64()),
            ("ions", _texts),
            ("reason", _text),
        ]
    ),
    # One row is a tenth of the listed formulas of a class, by their probability.
    "calibration": pa.schema(
        [
            ("composition_class", _text),
            ("holdout", _text),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("n_formulas", pa.int64()),
            ("n_found", pa.int64()),
            ("mean_probability", pa.float64()),
            ("share", pa.float64()),
            ("share_low", pa.float64()),
            ("share_high", pa.float64()),
        ]
    ),
    "study_cell": pa.schema(
        [
            ("composition_class", _text),
            ("counted", _text),
            ("k", pa.int64()),
            ("n_hits", pa.int64()),
            ("hit_rate", pa.float64()),
            ("enrichment", pa.float64()),
            ("n_targets", pa.int64()),
            ("n_unknown", pa.int64()),
            ("n_known_fitted", pa.int64()),
            ("fit_seconds", pa.float64()),
            ("rank_seconds", pa.float64()),
            ("hit_ranks", pa.list_(pa.int32())),
        ]
    ),
    "study": pa.schema(
        [
            ("design", _text),
            ("counted", _text),
            ("composition_class", _text),
            ("fraction", pa.float64()),
            ("variant", _text),
            ("prior_components", pa.int32()),
            ("k", pa.int64()),
            ("n_seeds", pa.int32()),
            ("n_hits", pa.float64()),
            ("n_hits_error", pa.float64()),
            ("hit_rate", pa.float64()),
            ("enrichment", pa.float64()),
            ("difference", pa.float64()),
            ("difference_error", pa.float64()),
            ("ratio", pa.float64()),
            ("ratio_error", pa.float64()),
            ("n_targets", pa.float64()),
            ("n_known_fitted", pa.float64()),
            ("fit_seconds", pa.float64()),
        ]
    ),
}

SCHEMA_VERSIONS = dict.fromkeys(SCHEMAS, 2) | {"model": 3}
"""The version of each kind: raised whenever one program writes what another, of the version before or after, cannot read."""

LONG_ROWS = frozenset({"model"})
"""Kinds whose rows are long: each is written as a group of its own, so that readers can leave rows out."""

WRITTEN_BY = {
    "known": "ingest", "rejected": "ingest", "encoded": "encode", "outside": "encode", "model": "train", "plan": "enumerate",
    "candidates": "enumerate", "ranking": "rank", "ranks": "rank", "histogram": "rank", "diff": "diff", "validation": "validate",
    "depths": "validate", "compounds": "validate", "calibration": "validate", "study_cell": "study", "study": "study",
}  # fmt: skip
"""The command that writes each kind."""
