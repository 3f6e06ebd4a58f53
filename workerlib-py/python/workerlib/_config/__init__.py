"""The sections of a configuration, and the objects that its names mean."""
