"""Distorted MNIST and MNIST addition (Jaderberg et al. 2015, section 4.1 and appendices A.1 and A.4)."""
