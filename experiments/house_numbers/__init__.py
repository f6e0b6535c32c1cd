"""House numbers of several digits (Jaderberg et al. 2015, section 4.2 and appendix A.5)."""
