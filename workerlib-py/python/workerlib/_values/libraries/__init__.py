"""The types of numpy, pandas, Pillow and pyarrow."""
