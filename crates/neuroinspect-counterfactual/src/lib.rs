//! Which neurons caused a classifier's mistakes: counterfactual explanation and ranking.
