//! Why an image classifier is wrong, and how to mend it: NeuroInspect (arXiv 2310.07184) on Burn.
