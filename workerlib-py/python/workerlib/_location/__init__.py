"""Where this Python runs: its global scope, the folder of the package, the start of relative addresses."""
