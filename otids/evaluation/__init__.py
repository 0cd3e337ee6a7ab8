"""How good detection is on labelled captures: cases, their labels, and the numbers of a run."""
