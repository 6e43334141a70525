"""Pretrain on unlabelled ECGs, transfer to few labelled ones, and test honestly whether that helped."""
