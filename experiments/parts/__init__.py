"""Transformers that find parts of birds or pedestrians (Jaderberg et al. 2015, section 4.3 and appendix A.6)."""
