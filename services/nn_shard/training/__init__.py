"""An index's codebook: who trains it, on which sample, in which process, and what is measured on the way."""
