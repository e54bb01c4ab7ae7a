"""The candidate space: classes, stoichiometries, blocks, and candidate_id <-> candidate."""
