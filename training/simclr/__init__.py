"""SimCLR: contrastive training of an image tower on pictures alone (Chen et al. 2020, arXiv:2002.05709)."""
