"""A worker's script that fails."""

{}["missing"]
