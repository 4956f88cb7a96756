"""How good a model is: by the labels that came, by none, and beside another one."""
