"""A worker whose tag is in a page of PyScript's."""
