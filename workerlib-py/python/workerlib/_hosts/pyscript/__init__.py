"""The host for workers that have a script tag in a page of PyScript's."""
